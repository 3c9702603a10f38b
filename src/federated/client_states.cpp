#include "federated/client_states.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "core/error.h"
#include "model/tensor_dtype.h"

namespace rn::federated {
namespace {

constexpr char kPrefix[] = "client.";

std::span<std::byte> bytes_of_row(torch::Tensor& row) {
  return {static_cast<std::byte*>(row.data_ptr()), static_cast<std::size_t>(row.nbytes())};
}

[[noreturn]] void fail(const std::string& what, const std::string& path) {
  throw Error(ExitCode::kFailure, cat("the state of clients cannot be ", what, ": ", path, ": ",
                                      std::generic_category().message(errno),
                                      ". Make room there, or raise federated.client_state_mib"));
}

}  // namespace

// A row's file as memory: a checkpoint of more rows than fit into memory is written from there.
class ClientStates::MappedFile {
 public:
  MappedFile(const std::string& path, std::size_t size) : size_(size) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) fail("read", path);
    memory_ = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
    ::close(file);
    if (memory_ == MAP_FAILED) fail("read", path);
  }
  ~MappedFile() { ::munmap(memory_, size_); }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(memory_), size_}; }

 private:
  void* memory_ = nullptr;
  const std::size_t size_;
};

ClientStates::ClientStates(std::int64_t clients, std::int64_t row_size, torch::Dtype dtype,
                           std::int64_t memory_bytes, std::string spill_folder)
    : row_size_(row_size),
      dtype_(dtype),
      memory_bytes_(memory_bytes),
      spill_folder_(std::move(spill_folder)),
      owners_(row_size > 0 ? static_cast<std::size_t>(clients) : 0, -1) {}

ClientStates::~ClientStates() {
  std::error_code ignored;
  if (folder_made_) std::filesystem::remove_all(spill_folder_, ignored);
}

std::int64_t ClientStates::row_bytes() const {
  return row_size_ * static_cast<std::int64_t>(c10::elementSize(dtype_));
}

std::string ClientStates::path_of(std::int64_t client) const {
  return cat(spill_folder_, "/", client, ".bin");
}

void ClientStates::bring(std::span<const std::pair<std::int64_t, int>> clients, Communicator& host) {
  if (!enabled()) return;
  mapped_.clear();
  torch::Tensor buffer;
  for (const auto& [client, rank] : clients) {
    const int owner = owner_of(client);
    if (owner < 0 || owner == rank) continue;
    torch::Tensor row;
    if (host.rank() == owner) {
      row = release(client);
    } else if (host.rank() == rank) {
      row = torch::empty({row_size_}, dtype_);
    } else {  // takes part in the broadcast only
      if (!buffer.defined()) buffer = torch::empty({row_size_}, dtype_);
      row = buffer;
    }
    host.broadcast(bytes_of_row(row), owner).wait();
    if (host.rank() == rank) keep(client, row);
    set_owner(client, rank);
  }
}

torch::Tensor ClientStates::take(std::int64_t client) {
  if (!has(client)) return torch::zeros({row_size_}, dtype_);
  return release(client);
}

void ClientStates::put(std::int64_t client, const torch::Tensor& row) {
  RN_CHECK(row.numel() == row_size_ && row.scalar_type() == dtype_ && row.is_contiguous());
  keep(client, row);
}

// The newest row always stays in memory, whatever the limit.
void ClientStates::keep(std::int64_t client, torch::Tensor row) {
  by_use_.push_back(client);
  rows_[client] = {std::move(row), std::prev(by_use_.end())};
  while (rows_.size() > 1 && static_cast<std::int64_t>(rows_.size()) * row_bytes() > memory_bytes_) {
    spill_oldest();
  }
}

torch::Tensor ClientStates::release(std::int64_t client) {
  mapped_.clear();
  if (const auto found = rows_.find(client); found != rows_.end()) {
    auto row = std::move(found->second.values);
    by_use_.erase(found->second.used);
    rows_.erase(found);
    return row;
  }
  RN_CHECK(files_.contains(client), "client ", client, " has no state on this rank");
  const std::string path = path_of(client);
  auto row = torch::empty({row_size_}, dtype_);
  std::ifstream in(path, std::ios::binary);
  in.read(static_cast<char*>(row.data_ptr()), row_bytes());
  if (!in) fail("read", path);
  in.close();
  std::remove(path.c_str());
  files_.erase(client);
  return row;
}

void ClientStates::spill_oldest() {
  if (!folder_made_) {
    std::error_code error;
    std::filesystem::remove_all(spill_folder_, error);  // of a run that was killed
    std::filesystem::create_directories(spill_folder_, error);
    if (error) {
      errno = error.value();
      fail("written", spill_folder_);
    }
    folder_made_ = true;
  }
  const std::int64_t client = by_use_.front();
  const auto& row = rows_.at(client).values;
  const std::string path = path_of(client);
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(static_cast<const char*>(row.const_data_ptr()), row_bytes());
  out.close();
  if (!out) fail("written", path);
  files_[client] = true;
  rows_.erase(client);
  by_use_.pop_front();
}

std::vector<io::TensorView> ClientStates::gather(Communicator& host) {
  std::vector<io::TensorView> views;
  std::vector<std::pair<std::int64_t, int>> all;
  for (std::size_t client = 0; client < owners_.size(); ++client) {
    if (owners_[client] >= 0) all.emplace_back(static_cast<std::int64_t>(client), 0);
  }
  bring(all, host);
  if (host.rank() != 0) return views;
  for (const auto& [client, rank] : all) {
    std::span<const std::byte> bytes;
    if (const auto found = rows_.find(client); found != rows_.end()) {
      bytes = {static_cast<const std::byte*>(found->second.values.const_data_ptr()),
               static_cast<std::size_t>(row_bytes())};
    } else {
      mapped_.push_back(std::make_unique<MappedFile>(path_of(client), static_cast<std::size_t>(row_bytes())));
      bytes = mapped_.back()->bytes();
    }
    views.push_back({cat(kPrefix, client), model::dtype_of(torch::empty({0}, dtype_)), {row_size_}, bytes});
  }
  return views;
}

void ClientStates::restore(const io::SafetensorsFile* file, Communicator& host) {
  if (!enabled()) return;
  std::fill(owners_.begin(), owners_.end(), -1);
  if (file != nullptr) {
    const DType dtype = model::dtype_of(torch::empty({0}, dtype_));
    for (const auto& tensor : file->tensors) {
      std::size_t client = owners_.size();
      if (tensor.name.starts_with(kPrefix)) {
        const char* const end = tensor.name.data() + tensor.name.size();
        std::from_chars(tensor.name.data() + sizeof kPrefix - 1, end, client);
      }
      if (client >= owners_.size() || tensor.dtype != dtype ||
          tensor.bytes.size() != static_cast<std::size_t>(row_bytes())) {
        throw DataError(cat("the checkpoint's state of clients does not fit this run: '", tensor.name,
                            "' of ", tensor.bytes.size(), " bytes, expected ", row_bytes()));
      }
      auto row = torch::empty({row_size_}, dtype_);
      std::copy(tensor.bytes.begin(), tensor.bytes.end(), bytes_of_row(row).begin());
      keep(static_cast<std::int64_t>(client), std::move(row));
      owners_[client] = 0;
    }
  }
  host.broadcast(bytes_of(std::span(owners_)), /*root=*/0).wait();
}

}  // namespace rn::federated

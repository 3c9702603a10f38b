#include "federated/client_states.h"

#include <algorithm>
#include <charconv>

#include "core/error.h"
#include "model/tensor_dtype.h"

namespace rn::federated {
namespace {

constexpr char kPrefix[] = "client.";

std::span<std::byte> bytes_of_row(torch::Tensor& row) {
  return {static_cast<std::byte*>(row.data_ptr()), static_cast<std::size_t>(row.nbytes())};
}

}  // namespace

ClientStates::ClientStates(io::FileSystem& files, std::int64_t clients, std::int64_t row_size,
                           torch::Dtype dtype, std::int64_t memory_bytes, const std::string& spill_folder)
    : row_size_(row_size),
      dtype_(dtype),
      memory_bytes_(memory_bytes),
      owners_(row_size > 0 ? static_cast<std::size_t>(clients) : 0, -1),
      spilled_(files, spill_folder, static_cast<std::size_t>(row_bytes())) {}

std::int64_t ClientStates::row_bytes() const {
  return row_size_ * static_cast<std::int64_t>(c10::elementSize(dtype_));
}

void ClientStates::bring(std::span<const std::pair<std::int64_t, int>> clients, Communicator& host) {
  if (!enabled()) return;
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
  if (const auto found = rows_.find(client); found != rows_.end()) {
    auto row = std::move(found->second.values);
    by_use_.erase(found->second.used);
    rows_.erase(found);
    return row;
  }
  RN_CHECK(spilled_.contains(client), "client ", client, " has no state on this rank");
  auto row = torch::empty({row_size_}, dtype_);
  const auto file = spilled_.map(client);
  std::copy(file->bytes().begin(), file->bytes().end(), bytes_of_row(row).begin());
  spilled_.remove(client);
  return row;
}

void ClientStates::spill_oldest() {
  const std::int64_t client = by_use_.front();
  spilled_.write(client, bytes_of_row(rows_.at(client).values));
  rows_.erase(client);
  by_use_.pop_front();
}

GatheredRows ClientStates::gather(Communicator& host) {
  std::vector<std::pair<std::int64_t, int>> all;
  for (std::size_t client = 0; client < owners_.size(); ++client) {
    if (owners_[client] >= 0) all.emplace_back(static_cast<std::int64_t>(client), 0);
  }
  bring(all, host);
  if (host.rank() != 0) return {};
  struct Memory {
    std::vector<torch::Tensor> rows;
    std::vector<std::shared_ptr<const MappedRow>> files;
  };
  const auto memory = std::make_shared<Memory>();
  GatheredRows gathered;
  const DType dtype = model::dtype_of(torch::empty({0}, dtype_));
  for (const auto& [client, rank] : all) {
    std::span<const std::byte> bytes;
    if (const auto found = rows_.find(client); found != rows_.end()) {
      memory->rows.push_back(found->second.values);
      bytes = bytes_of_row(memory->rows.back());
    } else {
      memory->files.push_back(spilled_.map(client));
      bytes = memory->files.back()->bytes();
    }
    gathered.views.push_back({cat(kPrefix, client), dtype, {row_size_}, bytes});
  }
  gathered.memory = memory;
  return gathered;
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

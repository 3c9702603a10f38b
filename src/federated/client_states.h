// What clients keep from round to round (control variates, error feedback, local norms): one row of numbers
// per client that has taken part, held by one rank at a time.
//
// A row moves to the rank that trains its client next. Rows beyond the rank's memory limit lie in files of
// its own, the least recently used first. Which rank holds a row, and where, changes no number.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/communicator.h"
#include "io/safetensors.h"

namespace rn::federated {

// The file of a checkpoint that holds the rows.
inline constexpr char kClientFile[] = "clients.safetensors";

// Not thread-safe.
class ClientStates {
 public:
  // Rows of `row_size` elements of `options` (dtype; rows are kept on the host) for clients [0, clients).
  // Files go to `spill_folder`, made when the first is needed and removed at the end. row_size 0: no state at
  // all.
  ClientStates(std::int64_t clients, std::int64_t row_size, torch::Dtype dtype, std::int64_t memory_bytes,
               std::string spill_folder);
  ~ClientStates();
  ClientStates(const ClientStates&) = delete;
  ClientStates& operator=(const ClientStates&) = delete;

  bool enabled() const { return row_size_ > 0; }
  bool has(std::int64_t client) const { return owner_of(client) >= 0; }
  std::int64_t spilled() const { return static_cast<std::int64_t>(files_.size()); }  // rows of this rank

  // Collective. Every client's row, if there is one, goes to the rank beside it.
  void bring(std::span<const std::pair<std::int64_t, int>> clients, Communicator& host);

  // A copy of the row of a client that this rank holds; zeros where the client has none yet.
  torch::Tensor take(std::int64_t client);
  // The client's new row, on the rank that trained it. All ranks then call set_owner().
  void put(std::int64_t client, const torch::Tensor& row);
  void set_owner(std::int64_t client, int rank) { owners_[static_cast<std::size_t>(client)] = rank; }

  // Collective. Brings all rows to rank 0, where the views of them are returned, named "client.<number>";
  // empty elsewhere. Valid until the next call of anything.
  std::vector<io::TensorView> gather(Communicator& host);

  // Collective. Rank 0 gives the rows of a checkpoint (null elsewhere, or where it has none); they replace
  // all. Throws DataError for a row that does not fit.
  void restore(const io::SafetensorsFile* file, Communicator& host);

 private:
  struct Row {
    torch::Tensor values;  // [row_size], on the host
    std::list<std::int64_t>::iterator used;
  };
  class MappedFile;

  int owner_of(std::int64_t client) const { return owners_[static_cast<std::size_t>(client)]; }
  std::string path_of(std::int64_t client) const;
  void keep(std::int64_t client, torch::Tensor row);
  torch::Tensor release(std::int64_t client);
  void spill_oldest();
  std::int64_t row_bytes() const;

  const std::int64_t row_size_;
  const torch::Dtype dtype_;
  const std::int64_t memory_bytes_;
  const std::string spill_folder_;
  bool folder_made_ = false;
  std::vector<std::int32_t> owners_;              // [clients]: rank that holds the row, -1: there is none
  std::unordered_map<std::int64_t, Row> rows_;    // in memory
  std::unordered_map<std::int64_t, bool> files_;  // on disk
  std::list<std::int64_t> by_use_;                // clients in memory, the least recently used first
  std::vector<std::unique_ptr<MappedFile>> mapped_;
};

}  // namespace rn::federated

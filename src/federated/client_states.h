// What clients keep from round to round (control variates, error feedback, local norms): one row of numbers
// per client that has taken part, held by one rank at a time.
//
// A row moves to the rank that trains its client next. Rows beyond the rank's memory limit lie in files of
// its own (row_files.h), the least recently used first. Which rank holds a row, and where, changes no number.
// A row is never changed in place: a client's new row is another one.
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
#include "federated/row_files.h"
#include "io/file_system.h"
#include "io/safetensors.h"

namespace rn::federated {

// The file of a checkpoint that holds the rows.
inline constexpr char kClientFile[] = "clients.safetensors";

// All rows, ready to be written: `views` named "client.<number>", which stay as they are for as long as
// `memory` lives, whatever becomes of the clients; so another thread may write them.
struct GatheredRows {
  std::vector<io::TensorView> views;
  std::shared_ptr<const void> memory;
};

// Not thread-safe.
class ClientStates {
 public:
  // Rows of `row_size` elements of `options` (dtype; rows are kept on the host) for clients [0, clients).
  // Files go to `spill_folder`, made when the first is needed and removed at the end. row_size 0: no state at
  // all. Borrows `files`.
  ClientStates(io::FileSystem& files, std::int64_t clients, std::int64_t row_size, torch::Dtype dtype,
               std::int64_t memory_bytes, const std::string& spill_folder);

  bool enabled() const { return row_size_ > 0; }
  bool has(std::int64_t client) const { return owner_of(client) >= 0; }
  std::int64_t spilled() const { return spilled_.size(); }  // rows of this rank

  // Collective. Every client's row, if there is one, goes to the rank beside it.
  void bring(std::span<const std::pair<std::int64_t, int>> clients, Communicator& host);

  // Takes the row of a client that this rank holds; zeros where the client has none yet. Not to be changed,
  // see above.
  torch::Tensor take(std::int64_t client);
  // The client's new row, on the rank that trained it. All ranks then call set_owner().
  void put(std::int64_t client, const torch::Tensor& row);
  void set_owner(std::int64_t client, int rank) { owners_[static_cast<std::size_t>(client)] = rank; }

  // Collective. Brings all rows to rank 0, which gets them; the others get nothing.
  GatheredRows gather(Communicator& host);

  // Collective. Rank 0 gives the rows of a checkpoint (null elsewhere, or where it has none); they replace
  // all. Throws DataError for a row that does not fit.
  void restore(const io::SafetensorsFile* file, Communicator& host);

 private:
  struct Row {
    torch::Tensor values;  // [row_size], on the host
    std::list<std::int64_t>::iterator used;
  };
  int owner_of(std::int64_t client) const { return owners_[static_cast<std::size_t>(client)]; }
  void keep(std::int64_t client, torch::Tensor row);
  torch::Tensor release(std::int64_t client);
  void spill_oldest();
  std::int64_t row_bytes() const;

  const std::int64_t row_size_;
  const torch::Dtype dtype_;
  const std::int64_t memory_bytes_;
  std::vector<std::int32_t> owners_;            // [clients]: rank that holds the row, -1: there is none
  std::unordered_map<std::int64_t, Row> rows_;  // in memory
  std::list<std::int64_t> by_use_;              // clients in memory, the least recently used first
  RowFiles spilled_;
};

}  // namespace rn::federated

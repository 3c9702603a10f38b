// What a node tells the others about its ranks, as bytes: a message between leaders, or a file of the run
// folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dist/row_snapshot.h"

namespace rn::dist {

struct NodeReport {
  std::uint64_t run = 0;    // the same on all nodes of a run, another one in every run
  std::int64_t number = 0;  // 1, 2, ... of this node
  int node = 0;
  bool last = false;  // the node leaves in good order
  std::vector<RowSnapshot> rows;
};

// Bytes of a packed report of `rows` rows.
std::size_t packed_size(std::size_t rows);
std::vector<std::byte> pack(const NodeReport& report);

// nullopt: no whole report. Numbers are as the sender gave them, and its enumerations are checked, since a
// file may come from anyone; names of hosts are cut at what a terminal must not see.
std::optional<NodeReport> unpack(std::span<const std::byte> bytes);

// <run_dir>/.rows.<node>: published whole by renaming; links in its place are replaced, not followed. False
// where it cannot be written.
bool write_node_report(const std::string& run_dir, const NodeReport& report);
std::optional<NodeReport> read_node_report(const std::string& run_dir, int node);
void remove_node_report(const std::string& run_dir, int node);

}  // namespace rn::dist

#include "dist/agreement.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"

namespace rn::dist {
namespace {

constexpr std::size_t kShownValue = 200;  // characters of a value in the message
constexpr std::size_t kShownItems = 20;

void append(std::string& text, std::string_view part) {
  const auto size = static_cast<std::uint64_t>(part.size());
  text.append(reinterpret_cast<const char*>(&size), sizeof size);
  text.append(part);
}

std::string take(std::string_view& text) {
  std::uint64_t size = 0;
  RN_CHECK(text.size() >= sizeof size);
  std::memcpy(&size, text.data(), sizeof size);
  text.remove_prefix(sizeof size);
  RN_CHECK(text.size() >= size);
  std::string part(text.substr(0, size));
  text.remove_prefix(size);
  return part;
}

using Items = std::vector<std::pair<std::string, std::string>>;

// Every rank's items, by rank.
std::vector<Items> gather(Communicator& host, std::span<const AgreementItem> items) {
  std::string mine;
  for (const AgreementItem& item : items) {
    append(mine, item.what);
    append(mine, item.value);
  }
  const auto ranks = static_cast<std::size_t>(host.world_size());
  const auto size = static_cast<std::uint64_t>(mine.size());
  std::vector<std::uint64_t> sizes(ranks);
  host.all_gather(std::as_bytes(std::span(&size, 1)), bytes_of(std::span(sizes))).wait();
  std::uint64_t longest = 0;
  for (const std::uint64_t s : sizes) longest = std::max(longest, s);

  mine.resize(longest);
  std::string all(longest * ranks, '\0');
  host.all_gather(std::as_bytes(std::span<const char>(mine)), bytes_of(std::span<char>(all))).wait();
  std::vector<Items> by_rank(ranks);
  for (std::size_t r = 0; r < ranks; ++r) {
    std::string_view text(all.data() + r * longest, sizes[r]);
    while (!text.empty()) {
      std::string what = take(text);
      std::string value = take(text);
      by_rank[r].emplace_back(std::move(what), std::move(value));
    }
  }
  return by_rank;
}

std::optional<std::string> find(const Items& items, const std::string& what) {
  for (const auto& [name, value] : items) {
    if (name == what) return value;
  }
  return std::nullopt;
}

std::string shown(const std::optional<std::string>& value) {
  if (!value) return "nothing";
  if (value->size() <= kShownValue) return *value;
  return value->substr(0, kShownValue) + "...";
}

// One line about an item, empty if all ranks agree on it.
std::string difference(const std::vector<Items>& by_rank, const std::string& what) {
  const auto reference = find(by_rank.front(), what);
  std::map<std::optional<std::string>, std::vector<std::size_t>> others;
  for (std::size_t r = 1; r < by_rank.size(); ++r) {
    if (auto value = find(by_rank[r], what); value != reference) others[std::move(value)].push_back(r);
  }
  if (others.empty()) return {};
  std::string line = cat("\n  ", what, ": rank 0 has ", shown(reference));
  for (const auto& [value, ranks] : others) {
    line += cat("; ", rank_list(ranks), ranks.size() == 1 ? " has " : " have ", shown(value));
  }
  return line;
}

}  // namespace

void check_agreement(Communicator& host, std::span<const AgreementItem> items) {
  const std::vector<Items> by_rank = gather(host, items);
  std::map<std::string, bool> seen;
  std::string lines;
  std::size_t count = 0;
  for (const Items& rank : by_rank) {
    for (const auto& [what, value] : rank) {
      if (!seen.emplace(what, true).second) continue;
      const std::string line = difference(by_rank, what);
      if (!line.empty() && ++count <= kShownItems) lines += line;
    }
  }
  if (count == 0) return;
  if (count > kShownItems) lines += cat("\n  and ", count - kShownItems, " more");
  throw EnvironmentError(
      cat("[dist] the ranks of this run differ:", lines,
          "\nAll ranks must run the same build with the same configuration on the same data."));
}

std::string rank_list(std::span<const std::size_t> ranks) {
  std::string text;
  for (std::size_t i = 0; i < ranks.size();) {
    std::size_t last = i;
    while (last + 1 < ranks.size() && ranks[last + 1] == ranks[last] + 1) ++last;
    text += cat(text.empty() ? "" : ", ", ranks[i]);
    if (last > i) text += cat("-", ranks[last]);
    i = last + 1;
  }
  return cat(ranks.size() == 1 ? "rank " : "ranks ", text);
}

std::string hash_text(std::uint64_t hash) {
  char text[17] = {};
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

}  // namespace rn::dist

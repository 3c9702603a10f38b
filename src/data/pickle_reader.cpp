#include "data/pickle_reader.h"

#include <algorithm>
#include <charconv>

#include "core/error.h"
#include "data/pickle_machine.h"
#include "data/pickle_text.h"

namespace rn::data {
namespace {

// A CIFAR batch needs some 21,000 pushes; the limit keeps a hostile file of 64 MiB below a few hundred MiB of
// memory.
constexpr std::size_t kMaxPushes = 400'000;

bool is_text(const PickleValue& value) {
  return value.kind == PickleKind::kString || value.kind == PickleKind::kBytes;
}

}  // namespace

const PickleValue* PickleValue::find(std::string_view key) const {
  if (kind != PickleKind::kDict) return nullptr;
  const PickleValue* found = nullptr;
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    if (is_text(*items[i]) && items[i]->text == key) found = items[i + 1];
  }
  return found;
}

PickleDocument::PickleDocument(std::span<const std::byte> bytes, const std::string& path) {
  root_ = PickleMachine(bytes, path, *this).run();
}

PickleMachine::PickleMachine(std::span<const std::byte> bytes, const std::string& path,
                             PickleDocument& document)
    : bytes_(bytes), path_(path), document_(document) {}

void PickleMachine::fail(const std::string& what) const {
  throw DataError(cat("[data] ", path_, " is not a readable pickle: byte ", opcode_at_, ": ", what));
}

const PickleValue* PickleMachine::run() {
  while (true) {
    opcode_at_ = at_;
    const auto opcode = static_cast<unsigned char>(take(1)[0]);
    if (opcode == '.') break;
    if (opcode == 0x80) {  // PROTO
      if (const auto protocol = take_unsigned(1); protocol > 5) fail(cat("unknown protocol ", protocol));
    } else if (opcode == 0x95) {  // FRAME: only a hint for buffered readers
      take(8);
    } else if (!run_number(opcode) && !run_text(opcode) && !run_container(opcode) && !run_memo(opcode) &&
               !run_object(opcode)) {
      fail(cat("opcode ", int{opcode}, " is not one that plain data needs"));
    }
  }
  if (stack_.size() != 1 || !marks_.empty())
    fail(cat("ends with ", stack_.size(), " objects instead of one"));
  if (at_ != bytes_.size()) fail(cat(bytes_.size() - at_, " bytes follow the end of the pickle"));
  return stack_.back();
}

// --- Input

std::string_view PickleMachine::take(std::uint64_t count) {
  if (count > bytes_.size() - at_) {
    fail(cat("the file ends at byte ", bytes_.size(), ", where ", count, " more are needed from byte ", at_,
             ": it is truncated"));
  }
  const auto* start = reinterpret_cast<const char*>(bytes_.data()) + at_;
  at_ += count;
  return {start, static_cast<std::size_t>(count)};
}

std::string_view PickleMachine::take_line() {
  const std::string_view rest(reinterpret_cast<const char*>(bytes_.data()) + at_, bytes_.size() - at_);
  const auto end = rest.find('\n');
  if (end == std::string_view::npos) fail("a line without an end: the file is truncated");
  at_ += end + 1;
  return rest.substr(0, end);
}

std::uint64_t PickleMachine::take_unsigned(int width) {
  std::uint64_t value = 0;
  int shift = 0;
  for (const char c : take(static_cast<std::uint64_t>(width))) {
    value |= std::uint64_t{static_cast<unsigned char>(c)} << shift;
    shift += 8;
  }
  return value;
}

std::int64_t PickleMachine::parse_integer(std::string_view text) const {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) fail("a malformed integer");
  return value;
}

// --- Stack

PickleValue* PickleMachine::make(PickleKind kind) {
  document_.values_.emplace_back().kind = kind;
  return &document_.values_.back();
}

void PickleMachine::push(PickleValue* value) {
  if (++pushes_ > kMaxPushes) fail(cat("more than ", kMaxPushes, " objects: refused"));
  stack_.push_back(value);
}

void PickleMachine::push_text(PickleKind kind, std::string_view text) {
  push(make(kind));
  stack_.back()->text = text;
}

void PickleMachine::push_integer(PickleKind kind, std::int64_t value) {
  push(make(kind));
  stack_.back()->integer = value;
}

PickleValue* PickleMachine::top() {
  if (stack_.empty() || (!marks_.empty() && marks_.back() == stack_.size()))
    fail("an opcode without its operand");
  return stack_.back();
}

PickleValue* PickleMachine::pop() {
  PickleValue* value = top();
  stack_.pop_back();
  return value;
}

std::vector<const PickleValue*> PickleMachine::pop_to_mark() {
  if (marks_.empty()) fail("an opcode without its mark");
  const auto start = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
  std::vector<const PickleValue*> items(start, stack_.end());
  stack_.erase(start, stack_.end());
  marks_.pop_back();
  return items;
}

void PickleMachine::push_tuple(std::vector<const PickleValue*> items) {
  push(make(PickleKind::kTuple));
  stack_.back()->items = std::move(items);
}

void PickleMachine::append(std::vector<const PickleValue*> items, PickleKind kind) {
  PickleValue& target = *top();
  if (target.kind != kind) fail("items for something that is no list or dict");
  if (kind == PickleKind::kDict && items.size() % 2 != 0) fail("a dict key without its value");
  target.items.insert(target.items.end(), items.begin(), items.end());
}

void PickleMachine::memoize(std::uint64_t index) {
  if (index >= kMaxPushes) fail(cat("memo index ", index, ": refused"));
  if (index >= memo_.size()) memo_.resize(index + 1, nullptr);
  memo_[index] = top();
}

void PickleMachine::recall(std::uint64_t index) {
  if (index >= memo_.size() || memo_[index] == nullptr) fail(cat("memo index ", index, " was never stored"));
  push(memo_[index]);
}

std::string_view PickleMachine::keep(std::string text) {
  // Each byte of input may be decoded twice at most (unicode, then Latin-1, of up to two bytes a character).
  decoded_ += text.size();
  if (decoded_ > 4 * bytes_.size()) fail("the same text is decoded again and again: refused");
  return document_.texts_.emplace_back(std::move(text));
}

// --- Opcodes of plain values; those that build objects are in pickle_objects.cpp

bool PickleMachine::run_number(unsigned char opcode) {
  switch (opcode) {
    case 'N':
      push(make(PickleKind::kNone));
      return true;
    case 0x88:
      push_integer(PickleKind::kBool, 1);
      return true;
    case 0x89:
      push_integer(PickleKind::kBool, 0);
      return true;
    case 'K':
      push_integer(PickleKind::kInt, static_cast<std::int64_t>(take_unsigned(1)));
      return true;
    case 'M':
      push_integer(PickleKind::kInt, static_cast<std::int64_t>(take_unsigned(2)));
      return true;
    case 'J':
      push_integer(PickleKind::kInt, static_cast<std::int32_t>(take_unsigned(4)));
      return true;
    case 'I': {
      const auto line = take_line();
      const bool boolean = line == "00" || line == "01";  // how protocols 0 and 1 write False and True
      push_integer(boolean ? PickleKind::kBool : PickleKind::kInt, parse_integer(line));
      return true;
    }
    case 'L': {
      auto line = take_line();
      if (line.ends_with('L')) line.remove_suffix(1);
      push_integer(PickleKind::kInt, parse_integer(line));
      return true;
    }
    case 0x8a: {  // LONG1: two's complement of the given width
      const auto width = static_cast<int>(take_unsigned(1));
      if (width > 8) fail("an integer above 64 bits");
      const std::uint64_t raw = take_unsigned(width);
      const int unused = 64 - 8 * width;
      push_integer(PickleKind::kInt, width == 0 ? 0 : static_cast<std::int64_t>(raw << unused) >> unused);
      return true;
    }
    default:
      return false;
  }
}

bool PickleMachine::run_text(unsigned char opcode) {
  switch (opcode) {
    case 'U':  // SHORT_BINSTRING: Python 2's str is bytes
    case 'C':
      push_text(PickleKind::kBytes, take(take_unsigned(1)));
      return true;
    case 'T':
    case 'B':
      push_text(PickleKind::kBytes, take(take_unsigned(4)));
      return true;
    case 0x8e:
    case 0x96:
      push_text(PickleKind::kBytes, take(take_unsigned(8)));
      return true;
    case 0x8c:
      push_text(PickleKind::kString, take(take_unsigned(1)));
      return true;
    case 'X':
      push_text(PickleKind::kString, take(take_unsigned(4)));
      return true;
    case 0x8d:
      push_text(PickleKind::kString, take(take_unsigned(8)));
      return true;
    case 'S': {
      auto text = decode_string_literal(take_line());
      if (!text) fail("a malformed string");
      push_text(PickleKind::kBytes, keep(std::move(*text)));
      return true;
    }
    case 'V': {
      auto text = decode_raw_unicode(take_line());
      if (!text) fail("a malformed unicode string");
      push_text(PickleKind::kString, keep(std::move(*text)));
      return true;
    }
    default:
      return false;
  }
}

bool PickleMachine::run_container(unsigned char opcode) {
  switch (opcode) {
    case '(':
      if (marks_.size() >= kMaxPushes) fail("too many marks: refused");
      marks_.push_back(stack_.size());
      return true;
    case ')':
      push_tuple({});
      return true;
    case ']':
      push(make(PickleKind::kList));
      return true;
    case '}':
      push(make(PickleKind::kDict));
      return true;
    case 't':
      push_tuple(pop_to_mark());
      return true;
    case 0x85:
    case 0x86:
    case 0x87: {
      std::vector<const PickleValue*> items(opcode - 0x84u);
      for (auto item = items.rbegin(); item != items.rend(); ++item) *item = pop();
      push_tuple(std::move(items));
      return true;
    }
    case 'l':
    case 'd': {
      auto items = pop_to_mark();
      const auto kind = opcode == 'l' ? PickleKind::kList : PickleKind::kDict;
      push(make(kind));
      append(std::move(items), kind);
      return true;
    }
    case 'a': {
      const PickleValue* item = pop();
      append({item}, PickleKind::kList);
      return true;
    }
    case 'e':
      append(pop_to_mark(), PickleKind::kList);
      return true;
    case 's': {
      const PickleValue* value = pop();
      const PickleValue* key = pop();
      append({key, value}, PickleKind::kDict);
      return true;
    }
    case 'u':
      append(pop_to_mark(), PickleKind::kDict);
      return true;
    default:
      return false;
  }
}

bool PickleMachine::run_memo(unsigned char opcode) {
  switch (opcode) {
    case 'q':
      memoize(take_unsigned(1));
      return true;
    case 'r':
      memoize(take_unsigned(4));
      return true;
    case 'p':
      memoize(static_cast<std::uint64_t>(parse_integer(take_line())));
      return true;
    case 0x94:
      memoize(memo_.size());
      return true;
    case 'h':
      recall(take_unsigned(1));
      return true;
    case 'j':
      recall(take_unsigned(4));
      return true;
    case 'g':
      recall(static_cast<std::uint64_t>(parse_integer(take_line())));
      return true;
    default:
      return false;
  }
}

}  // namespace rn::data

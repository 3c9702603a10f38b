#include "io/safetensors_header.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "io/safetensors_format.h"

namespace rn::io::detail {
namespace {

// Receives the parser's events. Builds no document, so what a header can make us allocate is bounded by its
// length; sees every key, so duplicates do not pass. Each handler returns false to stop, with the reason in
// `error`.
class HeaderHandler : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderHandler(Header& header) : header_(header) {}

  std::string error;

  bool null() override {
    if (place_ == Place::kMetadataValue) return leave_to(Place::kTop);  // the reference takes null for "none"
    return scalar("null");
  }
  bool boolean(bool) override { return scalar("a boolean"); }
  bool number_integer(number_integer_t) override { return scalar("a negative number"); }
  bool number_float(number_float_t, const string_t&) override {
    return scalar("a number that is no 64-bit integer");
  }
  bool binary(binary_t&) override { return scalar("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    switch (place_) {
      case Place::kShape:
        if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
          return fail(cat("tensor \"", entry().name, "\" has a dimension of ", value));
        }
        entry().shape.push_back(static_cast<std::int64_t>(value));
        return true;
      case Place::kOffsets:
        if (offsets_ == 2) return fail(cat("tensor \"", entry().name, "\" has more than two data_offsets"));
        (offsets_++ == 0 ? entry().begin : entry().end) = value;
        return true;
      default:
        return scalar("a number");
    }
  }

  bool string(string_t& value) override {
    switch (place_) {
      case Place::kMetadataEntry:
        header_.metadata[key_] = value;
        return true;
      case Place::kDType:
        entry().dtype = value;
        return leave_to(Place::kTensor);
      default:
        return scalar("a string");
    }
  }

  bool start_object(std::size_t) override {
    if (!descend()) return false;
    switch (place_) {
      case Place::kStart:
        return leave_to(Place::kTop);
      case Place::kMetadataValue:
        return leave_to(Place::kMetadata);
      case Place::kTensorValue:
        return leave_to(Place::kTensor);
      case Place::kSkipped:
        return true;
      default:
        return unexpected("an object");
    }
  }

  bool start_array(std::size_t) override {
    if (!descend()) return false;
    switch (place_) {
      case Place::kShapeValue:
        return leave_to(Place::kShape);
      case Place::kOffsetsValue:
        offsets_ = 0;
        return leave_to(Place::kOffsets);
      case Place::kSkipped:
        return true;
      default:
        return unexpected("a list");
    }
  }

  bool key(string_t& name) override {
    switch (place_) {
      case Place::kTop:
        return top_key(name);
      case Place::kMetadata:
      case Place::kMetadataEntry:
        if (!metadata_keys_.insert(name).second) return fail(cat("the metadata has \"", name, "\" twice"));
        key_ = name;
        place_ = Place::kMetadataEntry;
        return true;
      case Place::kTensor:
        return tensor_key(name);
      default:
        return true;  // inside something skipped
    }
  }

  bool end_object() override {
    --depth_;
    switch (place_) {
      case Place::kTensor:
        return end_tensor();
      case Place::kMetadata:
      case Place::kMetadataEntry:
        return leave_to(Place::kTop);
      case Place::kSkipped:
        return end_skipped();
      default:
        return true;  // the end of the header
    }
  }

  bool end_array() override {
    --depth_;
    switch (place_) {
      case Place::kOffsets:
        if (offsets_ != 2) return fail(cat("tensor \"", entry().name, "\" has fewer than two data_offsets"));
        return leave_to(Place::kTensor);
      case Place::kShape:
        return leave_to(Place::kTensor);
      default:
        return end_skipped();
    }
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    return fail(cat("the header is not JSON at byte ", position));
  }

 private:
  // Where in the header the next event belongs.
  enum class Place {
    kStart,          // before the header's brace
    kTop,            // a name or the end
    kMetadataValue,  // after "__metadata__":
    kMetadata,       // a key or the end
    kMetadataEntry,  // after a key: a string; after the string: a key or the end
    kTensorValue,    // after a tensor's name
    kTensor,         // a field or the end
    kDType,
    kShapeValue,
    kShape,
    kOffsetsValue,
    kOffsets,
    kSkipped,  // inside the value of a field that we do not know
  };

  HeaderEntry& entry() { return header_.entries.back(); }

  bool leave_to(Place place) {
    place_ = place;
    return true;
  }

  bool fail(std::string reason) {
    error = std::move(reason);
    return false;
  }

  bool unexpected(std::string_view what) {
    switch (place_) {
      case Place::kStart:
        return fail(cat("the header is ", what, ", not an object"));
      case Place::kMetadataValue:
      case Place::kMetadata:
      case Place::kMetadataEntry:
        return fail(cat("the metadata must map strings to strings, and has ", what));
      case Place::kTensorValue:
        return fail(cat("tensor \"", entry().name, "\" is ", what, ", not an object"));
      case Place::kDType:
        return fail(cat("the dtype of tensor \"", entry().name, "\" is ", what));
      case Place::kShapeValue:
      case Place::kShape:
        return fail(cat("the shape of tensor \"", entry().name, "\" is or holds ", what));
      case Place::kOffsetsValue:
      case Place::kOffsets:
        return fail(cat("the data_offsets of tensor \"", entry().name, "\" are or hold ", what));
      default:
        return fail(cat("the header holds ", what, " where it may not"));
    }
  }

  bool scalar(std::string_view what) {
    if (place_ != Place::kSkipped) return unexpected(what);
    if (depth_ == depth_of_skipped_) place_ = Place::kTensor;  // the whole value of the unknown field
    return true;
  }

  bool descend() {
    if (++depth_ > kMaxJsonDepth) return fail("the header is nested too deeply");
    return true;
  }

  bool end_skipped() {
    if (depth_ == depth_of_skipped_) place_ = Place::kTensor;
    return true;
  }

  bool top_key(const std::string& name) {
    if (!names_.insert(name).second) return fail(cat("\"", name, "\" stands twice in the header"));
    if (name == kMetadataKey) return leave_to(Place::kMetadataValue);
    header_.entries.push_back({name, "", {}, 0, 0});
    has_dtype_ = has_shape_ = has_offsets_ = false;
    return leave_to(Place::kTensorValue);
  }

  bool tensor_key(const std::string& name) {
    bool* seen = nullptr;
    if (name == "dtype") {
      seen = &has_dtype_;
      place_ = Place::kDType;
    } else if (name == "shape") {
      seen = &has_shape_;
      place_ = Place::kShapeValue;
    } else if (name == "data_offsets") {
      seen = &has_offsets_;
      place_ = Place::kOffsetsValue;
    } else {
      place_ = Place::kSkipped;
      depth_of_skipped_ = depth_;
      return true;
    }
    if (*seen) return fail(cat("tensor \"", entry().name, "\" has ", name, " twice"));
    return *seen = true;
  }

  bool end_tensor() {
    for (const auto& [seen, field] : {std::pair{has_dtype_, "dtype"}, std::pair{has_shape_, "shape"},
                                      std::pair{has_offsets_, "data_offsets"}}) {
      if (!seen) return fail(cat("tensor \"", entry().name, "\" has no ", field));
    }
    return leave_to(Place::kTop);
  }

  Header& header_;
  Place place_ = Place::kStart;
  int depth_ = 0;
  int depth_of_skipped_ = 0;
  int offsets_ = 0;
  bool has_dtype_ = false, has_shape_ = false, has_offsets_ = false;
  std::string key_;
  std::set<std::string, std::less<>> names_;
  std::set<std::string, std::less<>> metadata_keys_;
};

}  // namespace

std::string parse_safetensors_header(std::string_view text, Header& header) {
  // The parser would skip a byte order mark, and take a zero byte for the end; JSON has neither.
  if (text.starts_with("\xEF\xBB\xBF")) return "the header begins with a byte order mark";
  if (text.find('\0') != std::string_view::npos) return "the header holds a zero byte";
  HeaderHandler handler(header);
  if (nlohmann::json::sax_parse(text, &handler)) return {};
  return handler.error.empty() ? "the header is not JSON" : handler.error;
}

}  // namespace rn::io::detail

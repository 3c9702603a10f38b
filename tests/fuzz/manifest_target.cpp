#include "core/error.h"
#include "core/tensor_hash.h"
#include "io/checkpoint_manifest.h"
#include "targets.h"

namespace rn::fuzz {
namespace {

// What is accepted names files inside its folder only, and is formatted and read again without a difference.
void parse(const std::string& text) {
  using namespace io::detail;
  try {
    const Manifest manifest = parse_manifest(text, "manifest.json");
    expect(manifest.step >= 0, "a negative step");
    for (const auto& file : manifest.files) expect(is_checkpoint_file_name(file.name), "a file elsewhere");
    const Manifest again = parse_manifest(format_manifest(manifest), "copy.json");
    expect(again.step == manifest.step && again.values == manifest.values, "step or values changed");
    expect(again.files.size() == manifest.files.size(), "files were lost");
    for (std::size_t i = 0; i < manifest.files.size(); ++i) {
      const auto &a = manifest.files[i], &b = again.files[i];
      expect(a.name == b.name && a.size == b.size && a.hash == b.hash, "a file changed");
    }
  } catch (const DataError&) {
  }
}

}  // namespace

void manifest(Input input) {
  const std::string body = text_of(input);
  parse(body);
  // No fuzzer guesses a hash.
  parse(cat(body, "  \"manifest_hash\": \"", hash_to_hex(tensor_hash(input)), "\"\n}\n"));
}

}  // namespace rn::fuzz

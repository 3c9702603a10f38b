#include "data/pickle_reader.h"

#include "core/random.h"
#include "data/cifar_pickle.h"
#include "data/data_fixtures.h"
#include "data/pickle_text.h"

namespace rn::data {
namespace {

using namespace testing;

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

// Parses and gives the root's kind; throws what the reader throws.
PickleKind parse(const std::string& text) { return PickleDocument(bytes_of(text), "x.pkl").root().kind; }

class CifarPickleTest : public ::testing::TestWithParam<const char*> {};

TEST_P(CifarPickleTest, ReadsWhatPythonWrote) {
  const std::string file = golden(GetParam());
  std::vector<std::uint8_t> pixels(2 * 3072), labels(2);
  decode_cifar_pickle(bytes_of(file), "x", pixels, labels);
  EXPECT_EQ(labels, (std::vector<std::uint8_t>{3, 9}));
  for (int record = 0; record < 2; ++record) {
    for (int i = 0; i < 3072; ++i)
      ASSERT_EQ(pixels[record * 3072 + i], (7 * record + 13 * i + i / 256) % 256) << i;
  }
}

// Every prefix is an error; none crashes or hangs.
TEST_P(CifarPickleTest, RefusesEveryTruncation) {
  const std::string file = golden(GetParam());
  std::vector<std::uint8_t> pixels(2 * 3072), labels(2);
  for (std::size_t size = 0; size < file.size(); size += size < 600 || size + 300 > file.size() ? 1 : 97) {
    const std::string cut = file.substr(0, size);
    EXPECT_THROW(decode_cifar_pickle(bytes_of(cut), "x", pixels, labels), DataError) << size;
  }
}

// Any change either gives an error or data; the sanitizers watch that it does nothing else.
TEST_P(CifarPickleTest, SurvivesChangedBytes) {
  const std::string file = golden(GetParam());
  CounterRandom random(5, Purpose::kSynthetic, 0, 0);
  std::vector<std::uint8_t> pixels(2 * 3072), labels(2);
  int refused = 0;
  for (int i = 0; i < 2000; ++i) {
    std::string changed = file;
    for (int k = 0; k < 3; ++k) {
      changed[random.below(static_cast<std::uint32_t>(changed.size()))] =
          static_cast<char>(random.below(256));
    }
    changed[random.below(400)] = static_cast<char>(random.below(256));
    try {
      decode_cifar_pickle(bytes_of(changed), "x", pixels, labels);
    } catch (const DataError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 100);
}

INSTANTIATE_TEST_SUITE_P(Protocols, CifarPickleTest,
                         ::testing::Values("cifar_protocol0.pkl", "cifar_protocol1.pkl",
                                           "cifar_protocol2.pkl", "cifar_protocol3.pkl",
                                           "cifar_protocol4.pkl", "cifar_protocol5.pkl", "cifar_fortran.pkl",
                                           "cifar_python2.pkl", "cifar_python2_text.pkl"));

TEST(PickleReaderTest, RunsNothing) {
  const std::initializer_list<std::pair<const char*, std::string>> attacks = {
      {"os.system", "cos\nsystem\n(S'echo attacked'\ntR."},
      {"posix.system", "\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02ls\x85R."},
      {"builtins.eval", "cbuiltins\neval\n(S'1+1'\ntR."},
      {"numpy.core.multiarray.fromfile", "cnumpy.core.multiarray\nfromfile\n."},
      {"numpy.load", "cnumpy\nload\n."}};
  for (const auto& [name, attack] : attacks) {
    expect_error<DataError>([&] { parse(attack); },
                            {"x.pkl", cat("'", name, "'"), "refused", "nothing was run"});
  }
}

TEST(PickleReaderTest, RefusesOpcodesThatPlainDataNeverNeeds) {
  // INST, OBJ, NEWOBJ, NEWOBJ_EX, PERSID, BINPERSID, EXT1, POP, DUP, FLOAT, BINFLOAT, LONG4, EMPTY_SET,
  // NEXT_BUFFER
  for (const int opcode :
       {0x69, 0x6f, 0x81, 0x92, 0x50, 0x51, 0x82, 0x30, 0x32, 0x46, 0x47, 0x8b, 0x8f, 0x97, 0xff}) {
    expect_error<DataError>([&] { parse(std::string(1, static_cast<char>(opcode)) + std::string(16, '\0')); },
                            {cat("opcode ", opcode), "byte 0"});
  }
}

TEST(PickleReaderTest, RefusesMalformedPrograms) {
  const std::initializer_list<std::pair<const char*, std::string>> cases = {
      {"truncated", ""},
      {"truncated", "N"},
      {"0 objects", "."},
      {"2 objects", "NN."},
      {"1 bytes follow", "N.x"},
      {"without its mark", "t."},
      {"without its operand", "a."},
      {"without its operand", "]N(a."},
      {"no list or dict", "NNa."},
      {"key without its value", "}(Nu."},
      {"never stored", "h\x05."},
      {"memo index", "Nr\xff\xff\xff\xff."},
      {"memo index", "Np-1\n."},
      {"malformed integer", "I1x\n."},
      {"malformed integer", "L99999999999999999999L\n."},
      {"malformed string", "S'a\n."},
      {"malformed string", "S'\\q'\n."},
      {"malformed unicode", "V\\u12\n."},
      {"unknown protocol 9", "\x80\x09N."},
      {"truncated", "T\xff\xff\xff\x7f."},
      {"truncated", std::string("\x8e\xff\xff\xff\xff\xff\xff\xff\xff.", 10)},
      {"above 64 bits",
       "\x8a\x09"
       "123456789."},
      {"call of no function", "N)R."},
      {"unexpected arguments", "c_codecs\nencode\n)R."},
      {"state for something", "N)b."},
      {"instead of u1",
       "cnumpy\ndtype\n(U\x02"
       "f8tR."},
  };
  for (const auto& [reason, program] : cases)
    expect_error<DataError>([&] { parse(program); }, {"x.pkl", reason});
}

TEST(PickleReaderTest, RefusesAnArrayWhoseShapeIsNotItsData) {
  const auto array = [](const std::string& shape, const std::string& data) {
    return "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntU\x01"
           "btR(I1\n(" +
           shape +
           "tcnumpy\ndtype\n(U\x02"
           "u1tRI00\n" +
           "U" + static_cast<char>(data.size()) + data + "tb.";
  };
  EXPECT_EQ(parse(array("I2\nI3\n", "abcdef")), PickleKind::kArray);
  expect_error<DataError>([&] { parse(array("I2\nI3\n", "abcde")); }, {"6 elements with 5 bytes"});
  expect_error<DataError>([&] { parse(array("I-2\nI-3\n", "abcdef")); }, {"impossible shape"});
  expect_error<DataError>([&] { parse(array("I2147483647\nI2147483647\nI2147483647\n", "")); },
                          {"impossible shape"});
}

TEST(PickleReaderTest, DeepNestingAndCyclesAreHarmless) {
  EXPECT_EQ(parse("N" + std::string(300'000, '\x85') + "."), PickleKind::kTuple);
  EXPECT_EQ(parse("]q\x01h\x01"
                  "a."),
            PickleKind::kList);  // a list that holds itself
}

TEST(PickleReaderTest, LimitsObjectsAndDecodedText) {
  expect_error<DataError>([] { parse(std::string(500'000, 'N') + "."); }, {"more than 400000 objects"});
  // One text of 1 MB that is encoded 1000 times would need 1 GB.
  std::string bomb = "c_codecs\nencode\nq\x01X" + std::string("\x40\x42\x0f\x00", 4) +
                     std::string(1'000'000, 'a') + "q\x02U\x06latin1q\x03";
  for (int i = 0; i < 1000; ++i) bomb += "h\x01h\x02h\x03\x86R";
  expect_error<DataError>([&] { parse(bomb + "."); }, {"decoded again and again"});
}

TEST(PickleReaderTest, RefusesAnotherSetsPickle) {
  std::vector<std::uint8_t> pixels(3072), labels(1);
  const std::string cifar100 =
      "}(U\x0b"
      "fine_labels]U\x04"
      "dataNu.";
  expect_error<DataError>([&] { decode_cifar_pickle(bytes_of(cifar100), "train", pixels, labels); },
                          {"train is a pickle, but not one of CIFAR-10", "CIFAR-100"});
}

TEST(PickleReaderTest, ReadsIntegersOfEveryWidth) {
  using namespace std::string_literals;
  const std::string program =
      "(K\xffM\xff\xffJ\xfe\xff\xff\xffI-7\nL12L\n\x8a\x01\xff\x8a\x02\x00\x01I01\nt."s;
  const PickleDocument document(bytes_of(program), "x");
  std::vector<std::int64_t> values;
  for (const auto* item : document.root().items) values.push_back(item->integer);
  EXPECT_EQ(values, (std::vector<std::int64_t>{255, 65535, -2, -7, 12, -1, 256, 1}));
  EXPECT_EQ(document.root().items.back()->kind, PickleKind::kBool);
}

TEST(PickleTextTest, DecodesWhatPythonWrites) {
  EXPECT_EQ(decode_string_literal(R"('it\'s\n\x00\xff\\')"), std::string("it's\n\0\xff\\", 8));
  EXPECT_EQ(decode_string_literal(R"("it's")"), "it's");
  EXPECT_EQ(decode_raw_unicode("a\xe9\\u20ac\\U0001f600"), "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
  EXPECT_EQ(utf8_to_latin1("a\xc3\xbf\xc2\x80"), "a\xff\x80");
  EXPECT_EQ(utf8_to_latin1("\xe2\x82\xac"), std::nullopt);
  EXPECT_EQ(utf8_to_latin1("\xc3"), std::nullopt);
  EXPECT_EQ(decode_string_literal("'"), std::nullopt);
  EXPECT_EQ(decode_string_literal("'a'b'"), std::nullopt);
}

}  // namespace
}  // namespace rn::data

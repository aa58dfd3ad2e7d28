#include "tidewheel/inference/oip_http/http_message.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>

#include "tidewheel/inference/oip_http/content_coding.h"

namespace tidewheel::inference::http {
namespace {

using std::string_literals::operator""s;

/// The status that a head is refused with; 200: it is taken, 0: more is needed.
int StatusOf(const std::string& received, Head* head = nullptr) {
  Head own;
  std::size_t used = 0;
  const auto refusal = ReadHead(received, {.bytes = 500, .headers = 5}, head ? head : &own, &used);
  if (refusal) return refusal->status;
  return used == 0 ? 0 : 200;
}

TEST(HttpHeadTest, AHeadIsTakenApart) {
  Head head;
  ASSERT_EQ(StatusOf("POST /v2/models/a%20b/infer?x=1 HTTP/1.1\r\nHOST: h\r\nContent-Length: 12\r\n"
                     "X-Two:\t two words \r\n\r\nbody",
                     &head),
            200);
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.path, "/v2/models/a%20b/infer");
  EXPECT_EQ(head.query, "x=1");
  EXPECT_EQ(head.content_length, 12u);
  EXPECT_EQ(head.Find("x-two"), "two words");
  EXPECT_EQ(head.Find("x-three"), "");
  EXPECT_TRUE(head.keep_alive);
}

TEST(HttpHeadTest, WhatIsNotThereYetIsWaitedFor) {
  const std::string whole = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(StatusOf(whole.substr(0, size)), 0) << size;
  }
  EXPECT_EQ(StatusOf(whole), 200);
  EXPECT_EQ(StatusOf("\r\n" + whole), 200);
}

TEST(HttpHeadTest, WhatLeavesTheEndOfARequestInDoubtIsRefused) {
  const std::string begin = "POST / HTTP/1.1\r\nHost: h\r\n";
  EXPECT_EQ(StatusOf(begin + "Content-Length: 1\r\nContent-Length: 1\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf(begin + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf(begin + "Transfer-Encoding: gzip, chunked\r\n\r\n"), 501);
  EXPECT_EQ(StatusOf(begin + "Content-Length: +1\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf(begin + "Content-Length: \r\n\r\n"), 400);
  EXPECT_EQ(StatusOf(begin + "Content-Length: 99999999999999999999\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf(begin + "Content-Length : 1\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf(begin + " folded\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\nHost: h\n\n"), 400);
  EXPECT_EQ(StatusOf("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
}

TEST(HttpHeadTest, WhatIsNotHttpIsRefused) {
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\n\r\n"), 400);  // No Host.
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("GET / HTTP/2.0\r\nHost: h\r\n\r\n"), 505);
  EXPECT_EQ(StatusOf("GET /\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("GET  HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("G(T / HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("GET v2 HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("GET /\x01 HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n"s), 400);
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\nHost: h\r\nExpect: tea\r\n\r\n"), 417);
}

TEST(HttpHeadTest, HeadsAreBounded) {
  EXPECT_EQ(StatusOf("GET /" + std::string(600, 'a')), 431);
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\nHost: h\r\na: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\n\r\n"), 200);
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\nHost: h\r\na: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\ne: 5\r\n\r\n"),
            431);
}

TEST(HttpHeadTest, OldClientsMustAskForTheConnectionToStay) {
  Head head;
  ASSERT_EQ(StatusOf("GET / HTTP/1.0\r\n\r\n", &head), 200);
  EXPECT_FALSE(head.keep_alive);
  ASSERT_EQ(StatusOf("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", &head), 200);
  EXPECT_TRUE(head.keep_alive);
  ASSERT_EQ(StatusOf("GET / HTTP/1.1\r\nHost: h\r\nConnection: x, close\r\n\r\n", &head), 200);
  EXPECT_FALSE(head.keep_alive);
}

TEST(HttpHeadTest, ATargetMayNameTheServer) {
  Head head;
  ASSERT_EQ(StatusOf("GET http://other/v2?a HTTP/1.1\r\nHost: h\r\n\r\n", &head), 200);
  EXPECT_EQ(head.path, "/v2");
}

/// The body that chunks hold, read in pieces of `step`; nothing when they are refused.
std::optional<std::string> Chunks(const std::string& received, std::size_t step, int* status) {
  ChunkReader reader;
  net::AlignedBytes body;
  std::size_t at = 0;
  *status = 0;
  while (at < received.size() && !reader.done()) {
    std::size_t used = 0;
    const auto refusal = reader.Read(received.substr(at, step), 1'000, &body, &used);
    if (refusal) {
      *status = refusal->status;
      return std::nullopt;
    }
    at += used;
  }
  if (!reader.done()) return std::nullopt;
  return std::string(body.view()) + "|" + received.substr(at);
}

TEST(ChunkReaderTest, ChunksAreReadInWhateverPiecesTheyCome) {
  const std::string chunks = "4\r\nWiki\r\n5;name=\"v\"\r\npedia\r\n00\r\nTrailer: 1\r\n\r\nnext";
  for (const std::size_t step : {1u, 2u, 3u, 7u, 100u}) {
    int status = 0;
    EXPECT_EQ(Chunks(chunks, step, &status), "Wikipedia|next") << step;
  }
}

TEST(ChunkReaderTest, BrokenAndLargeChunksAreRefused) {
  int status = 0;
  for (const std::string broken : {"x\r\n", "\r\n", "4\nWiki", "4\r\nWikix", "4\r\nWiki\n",
                                   "-1\r\n", "4\r \n", "0\r\nA\n", "11111111111111111\r\n"}) {
    EXPECT_FALSE(Chunks(broken, 100, &status));
    EXPECT_EQ(status, 400) << broken;
  }
  EXPECT_FALSE(Chunks("3e9\r\n", 100, &status));
  EXPECT_EQ(status, 413);
  EXPECT_FALSE(Chunks("fffffffffffffff\r\n", 100, &status));
  EXPECT_EQ(status, 413);
}

TEST(ChunkReaderTest, ChunksOfOneByteWithoutEndAreRefused) {
  std::string tiny;
  for (int i = 0; i < 20'000; ++i) tiny += "1\r\na\r\n";
  ChunkReader reader;
  net::AlignedBytes body;
  std::size_t used = 0;
  EXPECT_TRUE(reader.Read(tiny, 1 << 20, &body, &used).has_value());
}

TEST(SplitPathTest, PartsAreDecodedAfterTheyAreSplit) {
  using Parts = std::vector<std::string>;
  EXPECT_EQ(SplitPath("/v2/models/a%2Fb/infer"), (Parts{"v2", "models", "a/b", "infer"}));
  EXPECT_EQ(SplitPath("/v2/"), Parts{"v2"});
  EXPECT_EQ(SplitPath("/"), Parts{});
  EXPECT_EQ(SplitPath("/a//b"), (Parts{"a", "", "b"}));
  EXPECT_EQ(SplitPath("/a%2"), std::nullopt);
  EXPECT_EQ(SplitPath("/a%zz"), std::nullopt);
  EXPECT_EQ(SplitPath("/a%00"), std::nullopt);
}

std::string Noise(std::size_t size) {
  std::mt19937 random(7);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random() % 17);
  return bytes;
}

TEST(ContentCodingTest, WhatIsPackedUnpacksAgain) {
  for (const std::size_t size : {0u, 1u, 1'000u, 300'000u}) {
    const std::string bytes = Noise(size);
    Response response{.body = bytes.substr(0, size / 3)};
    response.pieces.push_back({std::string_view(bytes).substr(size / 3, size / 2), nullptr});
    response.pieces.push_back({std::string_view(bytes).substr(size / 3 + size / 2), nullptr});
    for (const Coding coding : {Coding::kGzip, Coding::kDeflate}) {
      const std::string packed = Pack(coding, response);
      net::AlignedBytes unpacked;
      ASSERT_TRUE(Unpack(coding, packed, size, &unpacked).ok()) << size;
      EXPECT_EQ(unpacked.view(), bytes);
      if (size > 0) {
        net::AlignedBytes small;
        EXPECT_EQ(Unpack(coding, packed, size - 1, &small).error().code, ErrorCode::kOutOfRange);
        net::AlignedBytes cut;
        EXPECT_EQ(Unpack(coding, packed.substr(0, packed.size() - 1), size, &cut).error().code,
                  ErrorCode::kInvalidArgument);
        net::AlignedBytes more;
        EXPECT_EQ(Unpack(coding, packed + "x", size, &more).error().code,
                  ErrorCode::kInvalidArgument);
      }
    }
  }
}

TEST(ContentCodingTest, GzipMayHaveSeveralMembers) {
  const std::string packed =
      Pack(Coding::kGzip, Response{.body = "one "}) + Pack(Coding::kGzip, Response{.body = "two"});
  net::AlignedBytes unpacked;
  ASSERT_TRUE(Unpack(Coding::kGzip, packed, 100, &unpacked).ok());
  EXPECT_EQ(unpacked.view(), "one two");
}

TEST(ContentCodingTest, DeflateWithoutItsWrapperIsTakenToo) {
  const std::string packed = Pack(Coding::kDeflate, Response{.body = "bare deflate, bare deflate"});
  net::AlignedBytes unpacked;
  ASSERT_TRUE(Unpack(Coding::kDeflate, packed.substr(2, packed.size() - 6), 100, &unpacked).ok());
  EXPECT_EQ(unpacked.view(), "bare deflate, bare deflate");
}

TEST(ContentCodingTest, ABombIsStoppedAtTheLimit) {
  const std::string packed =
      Pack(Coding::kGzip, Response{.body = std::string(std::size_t{50} << 20, '\0')});
  EXPECT_LT(packed.size(), 400'000u);
  net::AlignedBytes unpacked;
  EXPECT_EQ(Unpack(Coding::kGzip, packed, 1 << 20, &unpacked).error().code, ErrorCode::kOutOfRange);
  EXPECT_LE(unpacked.size(), (1u << 20) + 1);
}

TEST(ContentCodingTest, TheClientChoosesThePacking) {
  EXPECT_EQ(ChooseCoding(""), Coding::kIdentity);
  EXPECT_EQ(ChooseCoding("br, deflate"), Coding::kDeflate);
  EXPECT_EQ(ChooseCoding("deflate, GZip;q=0.5"), Coding::kGzip);
  EXPECT_EQ(ChooseCoding("gzip;q=0, deflate;q=0.0"), Coding::kIdentity);
  EXPECT_EQ(*ParseCoding("GZIP"), Coding::kGzip);
  EXPECT_EQ(*ParseCoding(""), Coding::kIdentity);
  EXPECT_EQ(ParseCoding("br").error().code, ErrorCode::kUnimplemented);
  EXPECT_EQ(ParseCoding("gzip, gzip").error().code, ErrorCode::kUnimplemented);
}

}  // namespace
}  // namespace tidewheel::inference::http

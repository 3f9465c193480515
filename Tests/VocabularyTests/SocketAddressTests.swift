import Testing
import Vocabulary

@Suite struct SocketAddressTests {
  typealias Internet = SocketAddress.InternetAddress

  @Test func forms() throws {
    #expect(try SocketAddress(text: "0.0.0.0:8000") == .tcp(Internet(host: .v4([0, 0, 0, 0]), port: 8_000)))
    #expect(try SocketAddress(text: "localhost:80") == .tcp(Internet(host: .v4([127, 0, 0, 1]), port: 80)))
    #expect(try SocketAddress(text: "*:0") == .tcp(Internet(host: .any, port: 0)))
    #expect(try SocketAddress(text: "udp:*:53") == .udp(Internet(host: .any, port: 53)))
    #expect(try SocketAddress(text: "[::]:1") == .tcp(Internet(host: .v6([UInt8](repeating: 0, count: 16)), port: 1)))
    #expect(try SocketAddress(text: "/run/app/http.sock") == .unix(path: "/run/app/http.sock"))
    let loopback = [UInt8](repeating: 0, count: 15) + [1]
    #expect(try SocketAddress(text: "udp:[::1]:65535") == .udp(Internet(host: .v6(loopback), port: 65_535)))
  }

  /// RFC 5952 §4: the one way an address is written.
  @Test(arguments: [
    ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"), ("2001:db8::0:1", "2001:db8::1"), ("0:0:0:0:0:0:0:0", "::"),
    ("1:0:0:2:0:0:0:3", "1:0:0:2::3"), ("1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"), ("1:0:0:2:3:0:0:4", "1::2:3:0:0:4"),
    ("fe80::", "fe80::"), ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"), ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"),
  ]) func canonicalText(_ written: String, _ canonical: String) throws {
    #expect(try SocketAddress(text: "[\(written)]:1").text == "[\(canonical)]:1")
  }

  @Test(arguments: [
    "", ":", "80", "1.2.3.4", "1.2.3:80", "1.2.3.256:80", "01.2.3.4:80", "1.2.3.4:080", "1.2.3.4:65536", "1.2.3.4:-1",
    "1.2.3.4:+1", "1.2.3.4:", "host:80", "::1:80", "[::1]", "[::1]:", "[::1", "[1:2:3:4:5:6:7]:1",
    "[1:2:3:4:5:6:7:8:9]:1", "[1::2::3]:1", "[:::]:1", "[1:2:3:4:5:6:7::8]:1", "[12345::]:1", "[::1%lo]:1",
    "[::ffff:1.2.3.4]:1", "[1.2.3.4]:1", "[1.2.3.4::]:1", "*", "**:80", "/", "/a//b", "/a/", "/a/../b", "/a/./b",
    "/a\u{0}b", "/a\nb", "@abstract", "udp:/run/x", "udp:", "tcp:*:80", "udp:udp:*:80", "relative/path",
  ]) func refusesTheRest(_ text: String) {
    #expect(throws: SocketAddressError.self) { try SocketAddress(text: text) }
  }

  @Test func pathsFitTheKernel() throws {
    let longest = "/" + String(repeating: "x", count: 106)
    #expect(try SocketAddress(text: longest).text == longest)
    #expect(throws: SocketAddressError.self) { try SocketAddress(text: longest + "x") }
  }

  @Test func everyAddressReadsBack() throws {
    var generator = SeededGenerator(seed: 5)
    for _ in 0..<20_000 {
      let length = Bool.random(using: &generator) ? 4 : 16
      // Many zeros, so that runs of them are met.
      let bytes = (0..<length).map { _ in
        Bool.random(using: &generator) ? 0 : UInt8.random(in: 0...255, using: &generator)
      }
      let mapped = length == 16 && bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 255 && bytes[11] == 255
      if mapped { continue }
      let host: Internet.Host = length == 4 ? .v4(bytes) : .v6(bytes)
      let address = Internet(host: host, port: UInt16.random(in: 0...65_535, using: &generator))
      for whole in [SocketAddress.tcp(address), .udp(address)] {
        #expect(try SocketAddress(text: whole.text) == whole)
        #expect(whole.overlaps(whole) == (address.port != 0))
      }
    }
  }

  @Test func overlapIsSymmetric() throws {
    let texts = [
      "*:80", "0.0.0.0:80", "127.0.0.1:80", "[::]:80", "[::1]:80", "*:81", "udp:*:80", "/run/a", "/run/b", "*:0",
    ]
    let addresses = try texts.map { try SocketAddress(text: $0) }
    for left in addresses { for right in addresses { #expect(left.overlaps(right) == right.overlaps(left)) } }
    #expect(addresses[0].overlaps(addresses[4]) && addresses[1].overlaps(addresses[2]))
    #expect(!addresses[1].overlaps(addresses[3]) && !addresses[0].overlaps(addresses[6]))
  }

  /// A value made by hand prints without a trap, whatever it holds.
  @Test func badValuesPrint() {
    #expect(SocketAddress.tcp(Internet(host: .v6([1, 2]), port: 1)).text == "[?]:1")
    #expect(SocketAddress.tcp(Internet(host: .v4([]), port: 1)).text == ":1")
  }
}

import Testing
import Vocabulary

@testable import SupervisorRuntime

@Suite struct ProbeURLTests {
  static let loopback6 = SocketAddress.InternetAddress.Host.v6([UInt8](repeating: 0, count: 15) + [1])

  @Test func whatSettingsMayNameIsRead() throws {
    func read(_ text: String) throws -> [String] {
      let url = try ProbeURL(text: text)
      return ["\(url.target)", url.path, url.host]
    }
    #expect(
      try read("http://127.0.0.1:8000/health") == ["127.0.0.1:8000", "/health", "127.0.0.1:8000"])
    #expect(try read("http://127.9.9.9:1/") == ["127.9.9.9:1", "/", "127.9.9.9:1"])
    #expect(try read("http://[::1]:80/x?y=z:8") == ["[::1]:80", "/x?y=z:8", "[::1]:80"])
    #expect(try read("http://[::1]") == ["[::1]:80", "/", "[::1]"])
    #expect(try read("http://localhost:5000") == ["127.0.0.1:5000", "/", "localhost:5000"])
    #expect(try read("http://localhost?a") == ["127.0.0.1:80", "/?a", "localhost"])
    #expect(try read("unix:/run/app.sock:/health") == ["/run/app.sock", "/health", "localhost"])
    #expect(try read("unix:/run/app.sock:/a:/b") == ["/run/app.sock", "/a:/b", "localhost"])
    #expect(try read("unix:/run/app.sock") == ["/run/app.sock", "/", "localhost"])
  }

  @Test(arguments: [
    "", "127.0.0.1:80/x", "https://127.0.0.1/", "ftp://127.0.0.1/", "http://", "http:///x", "http://10.0.0.1/",
    "http://example.org/", "http://0.0.0.0:80/", "http://[::]:80/", "http://*:80/", "http://::1/", "http://[::2]:1/",
    "http://127.0.0.1:0/", "http://127.0.0.1:65536/", "http://127.0.0.1:/", "http://127.0.0.1:{port}/",
    "http://me:secret@127.0.0.1/", "http://127.0.0.1/a b", "http://127.0.0.1/\r\nX: y", "http://127.0.0.1/#top",
    "unix:", "unix:run/x.sock:/", "unix:/run/x.sock:health", "unix:/" + String(repeating: "x", count: 107) + ":/",
  ]) func whatCannotBeAskedHereIsRefused(text: String) {
    #expect(throws: ProbeURLError.self) { try ProbeURL(text: text) }
  }

  @Test func whatListensEverywhereIsAskedOnLoopback() {
    func probed(_ host: SocketAddress.InternetAddress.Host) -> SocketAddress.InternetAddress.Host {
      SocketAddress.InternetAddress(host: host, port: 1).probed.host
    }
    #expect(probed(.any) == .v4([127, 0, 0, 1]))
    #expect(probed(.v4([0, 0, 0, 0])) == .v4([127, 0, 0, 1]))
    #expect(probed(.v6([UInt8](repeating: 0, count: 16))) == Self.loopback6)
    #expect(probed(.v4([10, 0, 0, 1])) == .v4([10, 0, 0, 1]))
  }
}

import Glibc

@testable import Systemd

/// A datagram socket that plays the manager or the journal: records what arrives, with descriptors and credentials.
final class MockSocket {
  let path: String
  let descriptor: Int32
  private let directory: String

  init() throws {
    directory = try makeDirectory()
    path = directory + "/socket"
    descriptor = try UnixDatagram.makeSocket()
    let raw = descriptor
    var on: Int32 = 1
    setsockopt(raw, SOL_SOCKET, SO_PASSCRED, &on, 4)
    guard try UnixAddress(path).withSockaddr({ bind(raw, $0, $1) }) == 0 else {
      throw SystemdError("bind", path, errno: errno)
    }
  }

  deinit {
    close(descriptor)
    unlink(path)
    rmdir(directory)
  }

  /// What has arrived; delivery on Unix sockets is done when the sender's call returns.
  func next() throws -> UnixDatagram.Received? { try UnixDatagram.receive(on: descriptor, capacity: 1 << 20) }

  func nextText() throws -> String? { try next().map { String(decoding: $0.bytes, as: UTF8.self) } }
}

/// A new empty directory with a short path; the caller removes it.
func makeDirectory() throws -> String {
  guard let made = strdup("/tmp/systemd-tests-XXXXXX").flatMap({ mkdtemp($0) }) else {
    throw SystemdError("make a directory", errno: errno)
  }
  defer { free(made) }
  return String(cString: made)
}

/// A small reproducible generator (SplitMix64): a failure names the seed.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}

/// How many descriptors of this process mean the same open file as `raw`. (A plain count would see other tests' too.)
func copies(of raw: Int32) -> Int {
  var wanted = stat()
  fstat(raw, &wanted)
  return (0 as Int32..<4096).count { number in
    var status = stat()
    return fstat(number, &status) == 0 && status.st_dev == wanted.st_dev && status.st_ino == wanted.st_ino
  }
}

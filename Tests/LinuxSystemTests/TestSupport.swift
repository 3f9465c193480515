import Glibc
import Testing

@testable import LinuxSystem

/// A directory under the system's temporary one, removed with all in it.
final class ScratchDirectory {
  let path: String

  init() throws {
    var template = Array("/tmp/baton-test-XXXXXX".utf8CString)
    path = try #require(mkdtemp(&template).map { String(cString: $0) })
  }

  deinit { Self.removeTree(path) }

  private static func removeTree(_ path: String) {
    for name in (try? directoryEntries(path)) ?? [] where remove("\(path)/\(name)") != 0 {
      removeTree("\(path)/\(name)")
    }
    remove(path)
  }
}

/// The numbers of this process's open descriptors, without the one used to look.
func openDescriptors() throws -> Set<Int32> {
  Set(try directoryEntries("/proc/self/fd").compactMap { Int32($0) }.filter { fcntl($0, F_GETFD) >= 0 })
}

/// A child run to its end, with what it wrote.
struct Child {
  let pid: Int32
  /// Of waitpid(2).
  let status: Int32
  let lines: [String]

  static func run(
    _ program: String, _ arguments: String..., environment: [String: String] = [:],
    _ change: (inout SpawnRequest) -> Void = { _ in }
  ) throws -> Child {
    let output = try Descriptor.pipe()
    var request = SpawnRequest(program: program, arguments: [program] + arguments, environment: environment)
    request.standardOutput = output.writer
    change(&request)
    let child = try request.spawn()
    request.standardOutput = nil
    output.writer.close()
    let text = try readToEnd(output.reader)
    var status: Int32 = -1
    while waitpid(child.pid, &status, 0) < 0 && errno == EINTR {}
    return Child(pid: child.pid, status: status, lines: text.split(separator: "\n").map(String.init))
  }
}

/// Everything until the end of the stream, which must come within ten seconds.
func readToEnd(_ descriptor: Descriptor) throws -> String {
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 4_096)
  while true {
    var waiting = pollfd(fd: descriptor.raw, events: Int16(POLLIN), revents: 0)
    try #require(poll(&waiting, 1, 10_000) == 1, "nothing came for ten seconds")
    let count = read(descriptor.raw, &buffer, buffer.count)
    try #require(count >= 0)
    if count == 0 { break }
    bytes += buffer.prefix(count)
  }
  return String(decoding: bytes, as: UTF8.self)
}

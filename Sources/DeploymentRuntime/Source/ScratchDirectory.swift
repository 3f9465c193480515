import Glibc
import LinuxSystem
import Vocabulary

/// A directory of this plan alone, outside of everything that is deployed; gone when nobody has it any more.
final class ScratchDirectory {
  let path: String

  init() throws(SystemError) {
    let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array("\(parent)/baton-plan-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw SystemError("make a directory in", parent, errno: errno) }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit {
    // The plan's own effects do nothing.
    _ = try? DurableFiles(Effects(.act, faults: nil), operation: OperationID("plan")).removeTree(path)
  }

  func write(_ text: String, to name: String) throws(SystemError) {
    let place = "\(path)/\(name)"
    _ = mkdir(String(place[..<(place.lastIndex(of: "/") ?? place.startIndex)]), 0o700)
    let file = try Descriptor.open(place, flags: O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
    let bytes = Array(text.utf8)
    try retrying("write", place) { Glibc.write(file.raw, bytes, bytes.count) }
  }
}

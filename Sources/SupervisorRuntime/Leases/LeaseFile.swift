import Glibc
import Leases
import LinuxSystem
import Vocabulary

/// What an engine reads of its lease: a file that is there as long as the lease is held, replaced at each renewal.
struct LeaseFile {
  let directory: String

  func path(_ name: LeaseName) -> String { "\(directory)/\(name)" }

  /// Readers see all of it or the one before. It lies in memory: nothing waits for a disk.
  func write(_ grant: Grant) throws(SystemError) {
    let path = path(grant.lease)
    let text = "token=\(grant.token)\nexpires=\(Self.seconds(grant.provenUntil))\n"
    let draft = try Descriptor.open("\(path).new", flags: O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode: 0o644)
    let bytes = Array(text.utf8)
    try retrying("write", "\(path).new") { Glibc.write(draft.raw, bytes, bytes.count) }
    try retrying("replace", path) { rename("\(path).new", path) }
  }

  func remove(_ name: LeaseName) { unlink(path(name)) }

  /// As /proc/uptime says them: CLOCK_BOOTTIME.
  static func seconds(_ instant: BootInstant) -> String {
    let milliseconds = max(0, instant.nanoseconds / 1_000_000)
    let rest = String(milliseconds % 1_000)
    return "\(milliseconds / 1_000).\(String(repeating: "0", count: 3 - rest.count))\(rest)"
  }
}

package import Deployment
internal import Glibc
package import LinuxSystem

/// Why an archive could not be read, unpacked or made.
package struct ArchiveError: Error, Hashable, Sendable, CustomStringConvertible, InjectableError {
  package enum Reason: Hashable, Sendable {
    /// It holds no bytes, or no entries.
    case empty
    /// No tar, or none in a compression we take.
    case notAnArchive(String)
    /// An archive, and no backup of ours.
    case notABackup
    /// Some of it is not as it was written, or its end is missing.
    case damaged(String)
    /// An entry that may not be unpacked anywhere: a path outside, a device, a setuid program.
    case unsafe(entry: String, why: String)
    /// More than a release or a backup may have.
    case tooMuch(String)
    case noSpace(needed: UInt64, free: UInt64)
    /// An entry that is not what the manifest says; one that it lacks or does not know.
    case differs(entry: String, why: String)
    /// A file of a tree that did not hold still for as long as reading it took.
    case changing(String)
    case system(SystemError)
    case aborted
  }

  /// The archive or the directory it is about.
  package let subject: String
  package let reason: Reason

  package init(_ subject: String, _ reason: Reason) {
    self.subject = subject
    self.reason = reason
  }

  /// As soon as `abort` is readable.
  static func throwIfAborted(_ abort: Descriptor?, _ subject: String) throws(ArchiveError) {
    guard let abort else { return }
    var poller = pollfd(fd: abort.raw, events: Int16(POLLIN), revents: 0)
    if poll(&poller, 1, 0) > 0 { throw ArchiveError(subject, .aborted) }
  }

  package init(injected errno: Int32, into effect: Effect) {
    self.init(effect.subject, .system(SystemError(injected: errno, into: effect)))
  }

  package var description: String {
    switch reason {
    case .empty: "\(subject) is empty"
    case .notAnArchive(let why): "\(subject) is not a tar archive: \(why)"
    case .notABackup: "\(subject) is an archive, and no backup of baton's"
    case .damaged(let why): "\(subject) is damaged: \(why)"
    case .unsafe(let entry, let why): "\(subject) is not safe to unpack: \(entry) \(why)"
    case .tooMuch(let what): "\(subject) is too large: \(what)"
    case .noSpace(let needed, let free): "\(subject) needs \(needed) bytes where \(free) are free"
    case .differs(let entry, let why): "\(subject) is not what its manifest says: \(entry) \(why)"
    case .changing(let path): "\(subject): \(path) changes faster than it can be read"
    case .system(let error): "\(subject): \(error)"
    case .aborted: "\(subject): aborted"
    }
  }

  /// What a person should do.
  package var next: String? {
    switch reason {
    case .empty, .notAnArchive, .notABackup, .damaged, .differs: "make the archive again, or take another one"
    case .unsafe: "make the archive without that entry"
    case .tooMuch: "make the archive of less"
    case .noSpace: "free space on that file system"
    case .changing: "exclude that path, or stop what writes to it"
    case .system(let error) where error.errno == ENOSPC || error.errno == EDQUOT: "free space on that file system"
    case .system, .aborted: nil
    }
  }

  /// As the end of a step.
  package var failure: StepFailure {
    StepFailure(reason == .aborted ? .aborted : .failed, description, next: next)
  }
}

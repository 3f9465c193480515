package import LinuxSystem

/// One thing done to the world, as the call log has it and a plan prints it.
package struct Effect: Hashable, Sendable {
  package enum Kind: String, Hashable, Sendable, CaseIterable {
    case write, sync, rename, exchange, symlink, link, unlink
    case makeDirectory = "make-directory"
    case removeTree = "remove-tree"
    case mode, owner
    /// A record of the operation, on the disk.
    case record
    case lock
    case execute, kill
    /// A call over D-Bus.
    case bus
    /// A call to batond.
    case control
    /// An HTTP request.
    case request
    /// A transaction of a database that is not ours.
    case query
  }

  package let kind: Kind
  /// A path, a command line, a unit, a URL: never with a secret in it.
  package let subject: String

  package init(_ kind: Kind, _ subject: String) {
    self.kind = kind
    self.subject = subject
  }
}

/// An error that a test can make an effect end with.
package protocol InjectableError: Error {
  init(injected errno: Int32, into effect: Effect)
}

extension SystemError: InjectableError {
  package init(injected errno: Int32, into effect: Effect) {
    self.init(effect.kind.rawValue, effect.subject, errno: errno)
  }
}

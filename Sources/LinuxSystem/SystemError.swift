import CLinux
import Glibc

/// A system call that failed: what was attempted, on what, and the kernel's answer.
package struct SystemError: Error, Hashable, Sendable, CustomStringConvertible {
  /// In the words of the manual or a person: `bind`, `open`, `read the address of`.
  package let operation: String
  /// What it was attempted on: a path, an address, a pid. May be empty.
  package let subject: String
  package let errno: Int32

  package init(_ operation: String, _ subject: String = "", errno: Int32) {
    self.operation = operation
    self.subject = subject
    self.errno = errno
  }

  /// `EADDRINUSE`
  package var name: String { ErrorNumber.name(errno) }
  /// `Address already in use`
  package var text: String { ErrorNumber.text(errno) }

  /// The host lacks something just now; the same may go well later.
  package var isPassing: Bool { [EMFILE, ENFILE, ENOMEM, ENOBUFS, EAGAIN, EINTR, EIO].contains(errno) }

  /// `bind 0.0.0.0:8000: EADDRINUSE Address already in use`
  package var description: String {
    subject.isEmpty ? "\(operation): \(name) \(text)" : "\(operation) \(subject): \(name) \(text)"
  }
}

/// The names and texts of errno(3), untranslated.
package enum ErrorNumber {
  package static func name(_ number: Int32) -> String {
    cl_error_name(number).map { String(cString: $0) } ?? "E\(number)"
  }
  package static func text(_ number: Int32) -> String {
    cl_error_text(number).map { String(cString: $0) } ?? "unknown error \(number)"
  }
}

/// Calls the kernel again as long as a signal interrupts the call; any other failure is thrown.
///
/// For calls that answer -1 and errno. Not for close(2), which must never be repeated on Linux.
@discardableResult
package func retrying<Answer: FixedWidthInteger & SignedInteger>(
  _ operation: String, _ subject: @autoclosure () -> String = "", _ call: () -> Answer
) throws(SystemError) -> Answer {
  while true {
    let answer = call()
    if answer >= 0 { return answer }
    let number = Glibc.errno
    if number != EINTR { throw SystemError(operation, subject(), errno: number) }
  }
}

/// Like ``retrying(_:_:_:)``, where "nothing now" (EAGAIN) is an answer, nil, and not a failure.
package func unlessWouldBlock<Answer: FixedWidthInteger & SignedInteger>(
  _ operation: String, _ subject: @autoclosure () -> String = "", _ call: () -> Answer
) throws(SystemError) -> Answer? {
  while true {
    let answer = call()
    if answer >= 0 { return answer }
    let number = Glibc.errno
    if number == EAGAIN || number == EWOULDBLOCK { return nil }
    if number != EINTR { throw SystemError(operation, subject(), errno: number) }
  }
}

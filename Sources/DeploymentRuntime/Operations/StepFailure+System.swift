package import Deployment
internal import Glibc
package import LinuxSystem

extension StepFailure {
  /// A call to the kernel that failed, with the remedy for the errors that have one.
  package init(_ kind: Kind = .failed, _ error: SystemError, next: String? = nil) {
    let remedy: String? =
      switch error.errno {
      case ENOSPC, EDQUOT: "make room on the disk of \(error.subject)"
      case EROFS: "make the file system of \(error.subject) writable"
      case EACCES, EPERM: "see that the deploy user may do that"
      default: nil
      }
    self.init(kind, error.description, next: next ?? remedy)
  }
}

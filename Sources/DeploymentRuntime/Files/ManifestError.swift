package import LinuxSystem

/// Why there is no manifest, or none to rely on.
package enum ManifestError: InjectableError, Hashable, CustomStringConvertible {
  case system(SystemError)
  /// A release holds files, directories and symbolic links only.
  case unfit(TreePath, String)
  /// Somebody wrote while it was read.
  case changing(TreePath)
  /// Not what baton writes, or not all of it.
  case damaged(line: Int, String)

  package init(injected errno: Int32, into effect: Effect) {
    self = .system(SystemError(injected: errno, into: effect))
  }

  package var description: String {
    switch self {
    case .system(let error): "\(error)"
    case .unfit(let path, let noun): "\(path) is a \(noun), which a release cannot hold"
    case .changing(let path): "\(path) changed while it was read"
    case .damaged(let line, let why): line > 0 ? "damaged in line \(line): \(why)" : "damaged: \(why)"
    }
  }
}

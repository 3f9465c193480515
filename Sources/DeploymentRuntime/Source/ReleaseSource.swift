package import LinuxSystem

/// Where a release comes from.
package enum ReleaseSource {
  /// `[deploy] repository`, at `[deploy] ref` unless another is named.
  case repository(ref: String?)
  /// `--from DIR`: copied as it is, without a `.git` at its top.
  case directory(String)
  /// `--from FILE`: a tar archive in any of the usual compressions.
  case archive(String)
  /// `--from -`: an archive that is read to its end.
  case input(Descriptor)

  /// What `--from PATH` means: a directory if there is one, else an archive.
  package static func at(_ path: String) -> ReleaseSource {
    let isDirectory = (try? FileFacts.of("\(path)/."))?.kind == .directory
    return isDirectory ? .directory(path) : .archive(path)
  }

  /// For manifests and people.
  func name(repository: String?) -> String {
    switch self {
    case .repository: repository.map(Mirror.shown) ?? "no repository"
    case .directory(let path), .archive(let path): path
    case .input: "standard input"
    }
  }
}

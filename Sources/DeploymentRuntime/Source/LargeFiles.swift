import Deployment
import Glibc
import LinuxSystem
import Vocabulary

/// Files that git has only a pointer to. They come from the LFS server with git-lfs, or the deploy is refused: a release
/// with pointers in it looks complete and is not.
enum LargeFiles {
  private static let pointer = Array("version https://git-lfs.github.com/spec/".utf8)

  /// Gets the contents of a commit into the mirror, and says with which variables git writes them into a work tree.
  static func prepare(
    _ files: [GitFile], commit: String, in mirror: Mirror, path: String = CommandEnvironment.path
  ) throws(StepFailure) -> [String: String] {
    guard let first = files.first else { return [:] }
    guard findProgram("git-lfs", in: "/", path: path) != nil else {
      throw StepFailure(
        .failed,
        "\(files.count) files of commit \(commit.prefix(12)) are kept in Git LFS (\(first.path), …), and there is no git-lfs",
        next: "install git-lfs on this host, or deploy an archive with --from")
    }
    let settings = [
      ("remote.origin.url", mirror.url), ("filter.lfs.process", "git-lfs filter-process"),
      ("filter.lfs.smudge", "git-lfs smudge -- %f"), ("filter.lfs.required", "true"), ("lfs.concurrenttransfers", "8"),
    ]
    // As git hands -c to its own children: on top of GIT_CONFIG_COUNT.
    let parameters = settings.map {
      "'\($0.0)'='\($0.1.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''"))'"
    }
    let variables = ["GIT_CONFIG_PARAMETERS": parameters.joined(separator: " ")]
    let command = mirror.git.command(
      ["lfs", "fetch", "origin", commit], with: variables, subject: "git lfs fetch \(mirror.shownURL)")
    let result = try command.run(mirror.operation)
    try result.succeeded(next: "see whether the LFS server of \(mirror.shownURL) answers the deploy user")
    return variables
  }

  static func check(_ files: [GitFile], in directory: String) throws(StepFailure) {
    for file in files {
      guard let opened = try? Descriptor.open("\(directory)/\(file.path)", flags: O_RDONLY | O_NOFOLLOW) else {
        continue
      }
      var bytes = [UInt8](repeating: 0, count: pointer.count)
      guard read(opened.raw, &bytes, bytes.count) == pointer.count, bytes == pointer else { continue }
      throw StepFailure(
        .failed, "\(file.path) is still a pointer to Git LFS",
        next: "see that the object was pushed: git lfs push --all")
    }
  }
}

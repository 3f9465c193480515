import Deployment

/// What the `.gitattributes` of a commit say about its files, as far as an export must know.
struct GitAttributes {
  /// Not exported, with what is below.
  private(set) var ignored: Set<TreePath> = []
  /// Kept in Git LFS.
  private(set) var large: Set<TreePath> = []
  /// `git archive` would put words into them; a release has them as they are.
  private(set) var substituted = 0

  /// Of an index; no question is asked where no file has attributes.
  init(of files: [GitFile], _ git: Git, index: [String: String]) throws(StepFailure) {
    let name = Array(".gitattributes".utf8)
    guard files.contains(where: { $0.path.name.elementsEqual(name) }) else { return }
    var paths: Set<TreePath> = []
    for file in files {
      // A directory can be ignored as a whole.
      var path = file.path
      while !path.isTop, paths.insert(path).inserted { path = path.parent }
    }
    let list = paths.flatMap { (path) -> [UInt8] in path.bytes + [0] }
    let result = try git.answer(
      ["check-attr", "--cached", "-z", "--stdin", "export-ignore", "export-subst", "filter"], with: index, input: list)
    let fields = result.captured.split(separator: 0, omittingEmptySubsequences: false)
    for start in stride(from: 0, to: fields.count - 2, by: 3) {
      guard let path = TreePath(fields[start]) else { continue }
      let value = String(decoding: fields[start + 2], as: UTF8.self)
      switch String(decoding: fields[start + 1], as: UTF8.self) {
      case "export-ignore" where value == "set": ignored.insert(path)
      case "export-subst" where value == "set": substituted += 1
      case "filter" where value == "lfs": large.insert(path)
      default: break
      }
    }
  }

  func isIgnored(_ path: TreePath) -> Bool {
    guard !ignored.isEmpty else { return false }
    var path = path
    while !path.isTop {
      if ignored.contains(path) { return true }
      path = path.parent
    }
    return false
  }
}

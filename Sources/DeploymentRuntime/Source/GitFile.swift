import Deployment

/// A file as a commit has it.
struct GitFile: Hashable {
  enum Kind: Hashable { case file, program, link, submodule }

  let path: TreePath
  let kind: Kind
  /// Of its contents; of a submodule the commit. Hexadecimal.
  let object: String

  /// What `git ls-files --stage -z` or `git ls-tree -r -z` prints of an index that git itself has checked: `MODE OBJECT STAGE` or
  /// `MODE TYPE OBJECT`, a tab and the path.
  static func parse(_ bytes: [UInt8], limit: Int) throws(StepFailure) -> [GitFile] {
    var files: [GitFile] = []
    for record in bytes.split(separator: 0) {
      guard files.count < limit else {
        throw StepFailure(.failed, "the commit has more than \(limit) files", next: "baton releases hold no more")
      }
      guard let tab = record.firstIndex(of: 0x09), let path = TreePath(record[(tab + 1)...]), !path.isTop else {
        throw StepFailure(.failed, "the commit has a path that leads outside")
      }
      let fields = record[..<tab].split(separator: 0x20)
      guard fields.count >= 3, let kind = kind(fields[0]) else {
        throw StepFailure(.failed, "the commit has something at \(path) that is no file")
      }
      // The stage is one digit, an object never.
      let object = fields[1].count > 20 ? fields[1] : fields[2]
      files.append(GitFile(path: path, kind: kind, object: String(decoding: object, as: UTF8.self)))
    }
    return files
  }

  private static func kind(_ mode: ArraySlice<UInt8>) -> Kind? {
    switch String(decoding: mode, as: UTF8.self) {
    case "100644", "100664": .file
    case "100755": .program
    case "120000": .link
    case "160000": .submodule
    default: nil
    }
  }
}

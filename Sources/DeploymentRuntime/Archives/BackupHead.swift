internal import LinuxSystem
package import Vocabulary

/// What a backup says of itself, in its first entry `backup.txt`: lines of `word value`, as a manifest's head.
package struct BackupHead: Hashable, Sendable {
  package var service: ServiceName
  package var release: ReleaseID
  /// Who made it.
  package var operation: OperationID
  /// The place of that operation among all of the service: which of two backups is newer never depends on a clock.
  package var sequence: Int64
  /// Seconds since 1970; for people.
  package var made: Int64
  /// A hash of what the kernel said of every shared file right before they were read: the same one means that none was
  /// written since. nil where a file was too young to tell.
  package var fingerprint: Digest?
  /// Paths of `shared/` that are in it, whole.
  package var shared: [TreePath]
  /// It was written with an index behind it.
  package var hasIndex: Bool

  package init(
    service: ServiceName, release: ReleaseID, operation: OperationID, sequence: Int64, made: Int64,
    fingerprint: Digest? = nil, shared: [TreePath] = [], hasIndex: Bool = false
  ) {
    self.hasIndex = hasIndex
    self.service = service
    self.release = release
    self.operation = operation
    self.sequence = sequence
    self.made = made
    self.fingerprint = fingerprint
    self.shared = shared
  }

  private static let title = "baton-backup 1"
  static let sizeLimit = 1 << 20

  var text: [UInt8] {
    var lines = [Self.title, "service \(service.rawValue)", "release \(release)", "operation \(operation)"]
    lines += ["sequence \(sequence)", "made \(DateText.text(made))", "fingerprint \(fingerprint?.hex ?? "-")"]
    lines.append("index \(hasIndex ? "yes" : "no")")
    lines += shared.map { "shared \($0.escaped)" }
    return Array((lines.joined(separator: "\n") + "\n").utf8)
  }

  /// nil where it is none of ours.
  init?(text: [UInt8]) {
    guard let words = String(validating: text, as: UTF8.self) else { return nil }
    let lines = words.split(separator: "\n")
    guard lines.first == Self.title[...] else { return nil }
    var values: [Substring: Substring] = [:]
    shared = []
    for line in lines.dropFirst() {
      guard let space = line.firstIndex(of: " ") else { return nil }
      let value = line[line.index(after: space)...]
      if line[..<space] != "shared" {
        values[line[..<space]] = value
      } else if let path = TreePath(escaped: Array(value.utf8)) {
        shared.append(path)
      } else {
        return nil
      }
    }
    guard let service = values["service"].flatMap({ ServiceName(rawValue: String($0)) }),
      let release = values["release"].map({ ReleaseID(String($0)) }), release.hasForm,
      let operation = values["operation"], let sequence = values["sequence"].flatMap({ Int64($0) }),
      let made = values["made"].flatMap({ DateText.seconds(String($0)) }), let fingerprint = values["fingerprint"]
    else { return nil }
    hasIndex = values["index"] == "yes"
    self.service = service
    self.release = release
    self.operation = OperationID(String(operation))
    self.sequence = sequence
    self.made = made
    self.fingerprint = Digest(hex: Array(fingerprint.utf8))
  }
}

internal import Glibc
internal import LinuxSystem
package import Vocabulary

/// The operations of a service that have a directory.
package enum OperationIndex {
  /// More are not looked at; prune keeps far fewer.
  static let limit = 10_000

  /// In no order that means anything.
  package static func all(_ layout: Layout) -> [OperationID] {
    let names = (try? directoryEntries(layout.deploys)) ?? []
    return names.map { OperationID($0) }.filter { access(StepLog.path(layout, $0), F_OK) == 0 }
      .sorted { $0.text < $1.text }.suffix(limit)
  }
}

import Deployment
import Glibc
import LinuxSystem

/// The migrations of a release on the disk.
enum MigrationFiles {
  /// For one file. What is larger is data, and no migration.
  static let sizeLimit = 16 << 20
  static let countLimit = 10_000

  /// All `*.sql` files right in `directory`, unordered, without those that undo others (`*.down.sql`).
  ///
  /// - Returns: nil when there is no such directory.
  static func read(_ directory: String) throws(StepFailure) -> [MigrationFile]? {
    guard let names = try names(directory) else { return nil }
    var files: [MigrationFile] = []
    for name in names {
      if let refusal = MigrationName.refusal(name) {
        throw StepFailure(.refused, "the migration \(name.prefix(60)) in \(directory) cannot be used: \(refusal)")
      }
      do throws(SystemError) {
        let path = "\(directory)/\(name)"
        // A pipe would be waited for.
        let file = try Descriptor.open(path, flags: O_RDONLY | O_NONBLOCK)
        guard try FileFacts.of(path).kind == .file else { throw SystemError("read", path, errno: EINVAL) }
        let bytes = try readAll(file, path, limit: sizeLimit)
        files.append(MigrationFile(name: name, bytes: bytes, checksum: Digest.of(bytes).hex))
      } catch {
        let limit = error.errno == EFBIG ? "it is larger than 16 MiB" : "\(error)"
        throw StepFailure(.refused, "the migration \(name) cannot be read: \(limit)")
      }
    }
    return files
  }

  /// Their names alone; nil when there is no such directory.
  static func names(_ directory: String) throws(StepFailure) -> [String]? {
    do throws(SystemError) {
      let names = try directoryEntries(directory).filter { $0.hasSuffix(".sql") && !MigrationName.isWayBack($0) }
      guard names.count <= countLimit else {
        throw SystemError("list more than \(countLimit) migrations in", directory, errno: E2BIG)
      }
      return names
    } catch {
      if error.errno == ENOENT { return nil }
      throw StepFailure(.refused, "the migrations cannot be listed: \(error)")
    }
  }
}

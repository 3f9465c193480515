/// One file of migrations, as it lies in a release.
package struct MigrationFile: Hashable, Sendable {
  /// Without its directory: `004_add_email.sql`.
  package let name: String
  package let bytes: [UInt8]
  /// SHA-256 of the bytes, in hexadecimal.
  package let checksum: String

  package init(name: String, bytes: [UInt8], checksum: String) {
    self.name = name
    self.bytes = bytes
    self.checksum = checksum
  }
}

/// A file that has been read and looked through.
package struct MigrationScript: Hashable, Sendable {
  package let file: MigrationFile
  /// nil when it could not be divided into statements.
  package let statements: SQLStatements?
  package let directives: MigrationDirectives
  package let kind: StatementKind
  /// In the order of the file.
  package let findings: [MigrationFinding]

  init(
    file: MigrationFile, statements: SQLStatements?, directives: MigrationDirectives = MigrationDirectives(),
    kind: StatementKind = .transactional, findings: [MigrationFinding]
  ) {
    self.file = file
    self.statements = statements
    self.directives = directives
    self.kind = kind
    self.findings = findings.sorted { $0.position < $1.position }
  }

  package var name: String { file.name }

  /// What keeps it from being applied at all: everything, or for a contract what no file may do.
  package var refusals: [MigrationFinding] {
    findings.filter { !($0.rule.isContract && directives.isContract) }
  }
}

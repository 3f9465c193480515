/// Whose rules of writing SQL hold.
package enum SQLDialect: String, Hashable, Sendable, CaseIterable {
  case postgres, sqlite
}

/// The smallest part of SQL that has a meaning. White space and comments are none.
package struct SQLToken: Hashable, Sendable {
  package enum Kind: Hashable, Sendable {
    /// A key word or a plain name, in small letters (ASCII only, as both servers fold).
    case word(String)
    /// A name in quotes, without them.
    case quoted(String)
    /// Where the text between the quotes lies.
    case string(Range<Int>)
    case number
    /// `$1`, `?`, `:name`, `@name`
    case parameter
    case symbol(UInt8)
    /// A command to psql or to the sqlite3 shell, up to the end of its line; the servers do not know it.
    case clientCommand
  }

  package let kind: Kind
  /// Bytes of the file.
  package let range: Range<Int>
}

/// A place in a text, both from 1; the column counts Unicode scalars, as editors do.
package struct TextPosition: Hashable, Sendable, Comparable, CustomStringConvertible {
  package let line: Int
  package let column: Int

  package init(line: Int, column: Int) {
    self.line = line
    self.column = column
  }

  /// Where the byte at `offset` stands; `offset` may lie behind the last one.
  package init(of offset: Int, in bytes: [UInt8]) {
    var line = 1
    var start = 0
    let end = min(max(offset, 0), bytes.count)
    for index in 0..<end where bytes[index] == UInt8(ascii: "\n") {
      line += 1
      start = index + 1
    }
    // Bytes that continue a scalar count for nothing.
    let column = bytes[start..<end].count { $0 & 0xC0 != 0x80 } + 1
    self.init(line: line, column: column)
  }

  package var description: String { "\(line):\(column)" }

  package static func < (left: Self, right: Self) -> Bool { (left.line, left.column) < (right.line, right.column) }
}

/// Why a text cannot be divided into statements.
package struct SQLLexicalError: Error, Hashable, Sendable {
  /// Where what is never closed begins.
  package let offset: Int
  package let message: String
}

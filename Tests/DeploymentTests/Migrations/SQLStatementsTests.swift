import Deployment
import Testing

/// A file is divided where the server would divide it.
@Suite struct SQLStatementsTests {
  private static let postgres: [(String, [String])] = [
    ("", []),
    (" ;; ; ", []),
    ("SELECT 1", ["SELECT 1"]),
    ("SELECT 1;SELECT 2;", ["SELECT 1", "SELECT 2"]),
    ("\u{FEFF}SELECT 1;", ["SELECT 1"]),
    ("SELECT 'a;b'; SELECT 2", ["SELECT 'a;b'", "SELECT 2"]),
    ("SELECT 'it''s;'; SELECT 2", ["SELECT 'it''s;'", "SELECT 2"]),
    // With standard_conforming_strings a backslash is a character like others …
    (#"SELECT 'a\'; SELECT 2"#, [#"SELECT 'a\'"#, "SELECT 2"]),
    // … but not in E'…', not in any case of the letter, and not in its continuation on the next line.
    (#"SELECT E'a\';b'; SELECT 2"#, [#"SELECT E'a\';b'"#, "SELECT 2"]),
    (#"SELECT e'\\'; SELECT 2"#, [#"SELECT e'\\'"#, "SELECT 2"]),
    ("SELECT E'a' -- so\n '\\';'; SELECT 2", ["SELECT E'a' -- so\n '\\';'", "SELECT 2"]),
    ("SELECT E'a' '\\'; SELECT 2", ["SELECT E'a' '\\'", "SELECT 2"]),
    // A name that ends in e is no prefix.
    (#"SELECT cafe'\'; SELECT 2"#, [#"SELECT cafe'\'"#, "SELECT 2"]),
    (#"SELECT B'1;', X'A;', N'b;', U&'\;'; SELECT 2"#, [#"SELECT B'1;', X'A;', N'b;', U&'\;'"#, "SELECT 2"]),
    (#"SELECT U&"a;""b"; SELECT 2"#, [#"SELECT U&"a;""b""#, "SELECT 2"]),
    (#"SELECT "a;""b" ; SELECT 2"#, [#"SELECT "a;""b""#, "SELECT 2"]),
    ("SELECT $$a;b$$; SELECT 2", ["SELECT $$a;b$$", "SELECT 2"]),
    ("SELECT $x$a;$y$;$$;b$x$; SELECT 2", ["SELECT $x$a;$y$;$$;b$x$", "SELECT 2"]),
    ("SELECT $é1$;$é1$; SELECT 2", ["SELECT $é1$;$é1$", "SELECT 2"]),
    // A dollar inside a name begins no text, nor does a parameter.
    ("SELECT a$$; SELECT b$$", ["SELECT a$$", "SELECT b$$"]),
    ("SELECT $1; SELECT $1", ["SELECT $1", "SELECT $1"]),
    ("SELECT $1$$;$$; SELECT 2", ["SELECT $1$$;$$", "SELECT 2"]),
    ("SELECT 1 -- a; b\n; SELECT 2", ["SELECT 1", "SELECT 2"]),
    ("SELECT 1 -- a; b\r; SELECT 2", ["SELECT 1", "SELECT 2"]),
    ("SELECT /* a; /* b; */ c; */ 1; SELECT 2", ["SELECT /* a; /* b; */ c; */ 1", "SELECT 2"]),
    ("SELECT 1 /* -- */ ; SELECT 2", ["SELECT 1", "SELECT 2"]),
    ("SELECT 1*/**/2; SELECT 2", ["SELECT 1*/**/2", "SELECT 2"]),
    ("SELECT 1--2;\n3; SELECT 2", ["SELECT 1--2;\n3", "SELECT 2"]),
    ("SELECT 1e--2;\n3; SELECT 2", ["SELECT 1e--2;\n3", "SELECT 2"]),
    ("SELECT 1.5e-3, .5, 0x1F, 1_000; SELECT 2", ["SELECT 1.5e-3, .5, 0x1F, 1_000", "SELECT 2"]),
    (
      "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3",
      ["CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", "SELECT 3"]
    ),
    (
      "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 1 END; END; SELECT 2",
      ["CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 1 END; END", "SELECT 2"]
    ),
    (
      "CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC SELECT 1; END; SELECT 2",
      ["CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC SELECT 1; END", "SELECT 2"]
    ),
    ("CREATE TABLE begin_(a int); SELECT 2", ["CREATE TABLE begin_(a int)", "SELECT 2"]),
    ("SELECT 1\n\\echo a; b\n; SELECT 2", ["SELECT 1\n\\echo a; b", "SELECT 2"]),
    ("\\connect other\nSELECT 2", ["\\connect other", "SELECT 2"]),
  ]  // swift-format-ignore

  @Test(arguments: postgres) func postgresIsDivided(text: String, wanted: [String]) throws {
    let statements = try SQLStatements(Array(text.utf8), .postgres)
    #expect(statements.list.map(statements.text(of:)) == wanted)
  }

  private static let sqlite: [(String, [String])] = [
    (#"SELECT 'a\'; SELECT 2"#, [#"SELECT 'a\'"#, "SELECT 2"]),
    (#"SELECT "a;""b", `c;``d`, [e;"f]; SELECT 2"#, [#"SELECT "a;""b", `c;``d`, [e;"f]"#, "SELECT 2"]),
    ("SELECT x'AB', :a, @b, $c, ?1; SELECT 2", ["SELECT x'AB', :a, @b, $c, ?1", "SELECT 2"]),
    // Comments do not nest, and the end of the file ends one.
    ("SELECT /* a; /* b; */ 1; SELECT 2 /* ;", ["SELECT /* a; /* b; */ 1", "SELECT 2"]),
    ("SELECT 1 -- a;\r b;\n; SELECT 2", ["SELECT 1", "SELECT 2"]),
    (
      "CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM b; SELECT CASE WHEN 1 THEN 2 END; END; SELECT 2",
      ["CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM b; SELECT CASE WHEN 1 THEN 2 END; END", "SELECT 2"]
    ),
    (
      "CREATE TEMP TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; END; SELECT 2",
      ["CREATE TEMP TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; END", "SELECT 2"]
    ),
    ("SELECT (1; SELECT 2", ["SELECT (1", "SELECT 2"]),
    (".mode line\nSELECT 2", [".mode line", "SELECT 2"]),
  ]  // swift-format-ignore

  @Test(arguments: sqlite) func sqliteIsDivided(text: String, wanted: [String]) throws {
    let statements = try SQLStatements(Array(text.utf8), .sqlite)
    #expect(statements.list.map(statements.text(of:)) == wanted)
  }

  private static let unreadable: [(String, SQLDialect, Int, String)] = [
    ("SELECT 1;\n SELECT 'a", .postgres, 18, "a text that begins here"),
    (#"SELECT E'a\'"#, .postgres, 7, "a text that begins here"),
    ("SELECT \"a", .postgres, 7, "a quoted name"),
    ("SELECT $x$ a $y$", .postgres, 7, "$x$"),
    ("/* /* */", .postgres, 0, "a comment"),
    ("SELECT [a", .sqlite, 7, "in brackets"),
    ("SELECT `a", .sqlite, 7, "a quoted name"),
    ("SELECT 1;\u{0}", .postgres, 9, "zero byte"),
  ]

  @Test(arguments: unreadable)
  func whatIsNeverClosedIsNamedWhereItBegins(text: String, dialect: SQLDialect, offset: Int, words: String) {
    let error = #expect(throws: SQLLexicalError.self) { try SQLStatements(Array(text.utf8), dialect) }
    #expect(error?.offset == offset)
    #expect(error?.message.contains(words) == true)
  }

  @Test func whatIsNotUTF8IsNamedWhereItBegins() {
    let error = #expect(throws: SQLLexicalError.self) {
      try SQLStatements(Array("SELECT 'é'; -- ".utf8) + [0xFF] + Array(" é".utf8), .postgres)
    }
    #expect(error?.offset == 16)
  }

  @Test func positionsCountLinesAndScalars() throws {
    let statements = try SQLStatements(Array("-- é\nSELECT 'é', x;\n  SELECT 2;".utf8), .postgres)
    #expect(statements.position(of: statements.list[0].range.lowerBound) == TextPosition(line: 2, column: 1))
    #expect(statements.position(of: statements.list[0].range.upperBound) == TextPosition(line: 2, column: 14))
    #expect(statements.position(of: statements.list[1].range.lowerBound) == TextPosition(line: 3, column: 3))
    #expect(statements.lineComments.map(\.text) == ["é"])
  }
}

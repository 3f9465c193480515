/// One line in pieces, each with its colour: cut to the width first, coloured last, so that no escape is ever cut.
struct StyledLine {
  enum Colour: String { case red = "31", yellow = "33", green = "32", faint = "2", bold = "1" }

  private var pieces: [(text: String, colour: Colour?)] = []

  init(_ text: String = "", _ colour: Colour? = nil) { append(text, colour) }

  mutating func append(_ text: String, _ colour: Colour? = nil) {
    if !text.isEmpty { pieces.append((text, colour)) }
  }

  /// At most `width` characters, an ellipsis where some are left out; `colour` says whether escapes may be written.
  func text(width: Int?, colour: Bool) -> String {
    var room = width ?? .max
    let isCut = pieces.reduce(0) { $0 + $1.text.count } > room
    if isCut { room -= 1 }
    var result = ""
    for piece in pieces where room > 0 {
      let shown = String(piece.text.prefix(room))
      room -= shown.count
      if colour, let code = piece.colour?.rawValue {
        result += "\u{1B}[\(code)m\(shown)\u{1B}[0m"
      } else {
        result += shown
      }
    }
    if isCut { return result + "…" }
    while result.last == " " { result.removeLast() }
    return result
  }
}

extension StyledLine {
  /// As many lines as it takes to have no word beyond `width`, those after the first begun with `indent` spaces. A word
  /// that is longer than that stays whole: a path is to be copied.
  func wrapped(to width: Int?, indent: Int) -> [StyledLine] {
    guard let width, pieces.reduce(0, { $0 + $1.text.count }) > width else { return [self] }
    var lines = [StyledLine()]
    var column = 0
    var hasWord = false
    for piece in pieces {
      for word in Self.words(piece.text) {
        if word.first != " " {
          if hasWord, column + word.count > width {
            lines.append(StyledLine(String(repeating: " ", count: indent)))
            column = indent
          }
          hasWord = true
        }
        lines[lines.count - 1].append(word, piece.colour)
        column += word.count
      }
    }
    return lines
  }

  /// Words, and the spaces between them.
  private static func words(_ text: String) -> [String] {
    var words: [String] = []
    for character in text {
      if let last = words.last, (last.first == " ") == (character == " ") {
        words[words.count - 1].append(character)
      } else {
        words.append(String(character))
      }
    }
    return words
  }
}

/// Rows whose cells stand below each other. The last column takes what is left.
struct Table {
  typealias Cell = (text: String, colour: StyledLine.Colour?)
  /// Columns of numbers stand to the right.
  let rightAligned: Set<Int>
  private(set) var rows: [[Cell]] = []

  init(rightAligned: Set<Int>) { self.rightAligned = rightAligned }

  mutating func append(_ cells: [Cell]) { rows.append(cells) }

  var lines: [StyledLine] {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in rows.map { $0.count > column ? $0[column].text.count : 0 }.max() ?? 0 }
    return rows.map { row in
      var line = StyledLine()
      for (column, cell) in row.enumerated() {
        if column > 0 { line.append("  ") }
        let padding = String(repeating: " ", count: widths[column] - cell.text.count)
        if rightAligned.contains(column) { line.append(padding) }
        line.append(cell.text, cell.colour)
        if !rightAligned.contains(column) && column < columns - 1 { line.append(padding) }
      }
      return line
    }
  }
}

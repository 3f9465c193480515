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

internal import Glibc

/// What a walk through a machine has seen, as a page for people: a diagram, and one table for each state.
package struct StateTable {
  private var edges: [String: [String: Set<String>]] = [:]
  package private(set) var states: [String] = []

  package init() {}

  package mutating func saw(_ from: String, _ event: String, _ to: String) {
    for state in [from, to] where edges[state] == nil {
      edges[state] = [:]
      states.append(state)
    }
    edges[from]?[event, default: []].insert(to)
  }

  /// States in the order of `order`, those not named there after them.
  package func page(title: String, about: String, order: [String]) -> String {
    let rank = { (state: String) in (order.firstIndex(of: state) ?? order.count, state) }
    let sorted = states.sorted { rank($0) < rank($1) }
    var text =
      "# \(title)\n\n<!-- Made by the tests from the code: BATON_UPDATE_DOCS=1 swift test --disable-xctest --filter StatePages -->\n\n"
    text += about + "\n\n```mermaid\nstateDiagram-v2\n"
    for state in sorted { text += "  \(Self.id(state)): \(Self.label(state))\n" }
    for state in sorted { text += arrows(from: state, sorted) }
    text += "```\n"
    for state in sorted { text += table(of: state, rank) }
    while text.hasSuffix("\n\n") { text.removeLast() }
    return text
  }

  private func arrows(from state: String, _ sorted: [String]) -> String {
    sorted.filter { $0 != state }.map { next in
      let events = (edges[state] ?? [:]).filter { $0.value.contains(next) }.keys.sorted()
      return events.isEmpty ? "" : "  \(Self.id(state)) --> \(Self.id(next))\n"
    }.joined()
  }

  private func table(of state: String, _ rank: (String) -> (Int, String)) -> String {
    let all = edges[state] ?? [:]
    let moving = all.filter { $0.value != [state] }
    let idle = all.filter { $0.value == [state] }.keys.sorted()
    var text = "\n## \(state)\n\n"
    if !moving.isEmpty {
      text += "| event | leads to |\n|---|---|\n"
      for (event, next) in moving.sorted(by: { $0.key < $1.key }) {
        let names = next.sorted { rank($0) < rank($1) }.map { $0 == state ? "*stays*" : $0 }
        text += "| \(event) | \(names.joined(separator: " · ")) |\n"
      }
    }
    if !idle.isEmpty { text += "\(moving.isEmpty ? "" : "\n")Stays as it is: \(idle.joined(separator: ", ")).\n" }
    return text
  }

  private static func id(_ state: String) -> String {
    String(state.map { $0.isLetter || $0.isNumber ? $0 : "_" })
  }

  private static func label(_ state: String) -> String { String(state.map { $0 == ":" ? "," : $0 }) }
}

/// The pages under docs/states.
package enum Page {
  package static let isUpdating = Surroundings.text("BATON_UPDATE_DOCS") == "1"

  package static func path(_ name: String) -> String {
    let parts = #filePath.split(separator: "/").dropLast(3)
    return "/" + parts.joined(separator: "/") + "/docs/states/\(name).md"
  }

  package static func read(_ name: String) -> String? {
    guard let file = fopen(path(name), "r") else { return nil }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var next = fgetc(file)
    while next != EOF {
      bytes.append(UInt8(next))
      next = fgetc(file)
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  package static func write(_ name: String, _ text: String) -> Bool {
    guard let file = fopen(path(name), "w") else { return false }
    defer { fclose(file) }
    return fputs(text, file) >= 0
  }
}

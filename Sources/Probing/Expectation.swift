import JSON

/// What a body must say.
struct Expectation {
  var contains: String?
  var member: WebQuestion.Member?

  /// Why it does not; nil when it does.
  func unmet(by body: UnsafeBufferPointer<UInt8>, isCut: Bool) -> String? {
    if let contains, !Self.occurs(Array(contains.utf8), in: body) {
      let part =
        isCut ? "the first \(body.count) bytes of the body do" : body.isEmpty ? "an empty body does" : "the body does"
      return "\(part) not contain \"\(Excerpt.line(contains))\""
    }
    guard let member else { return nil }
    if isCut { return "the body has more than \(WebQuestion.bodyLimit) bytes, too many to read as JSON" }
    let json: JSON
    do throws(JSONError) {
      json = try JSON(text: body, limits: JSON.Limits(bytes: WebQuestion.bodyLimit, values: 200_000))
    } catch { return "the body is not JSON: \(error)" }
    switch Self.find(member.path, in: json) {
    case .missing(let at): return "its JSON has no \(Excerpt.line(at))"
    case .found(let value):
      let text = Self.text(value)
      return text == member.equals
        ? nil : "\(Excerpt.line(member.path)) is \"\(Excerpt.line(text))\", not \"\(Excerpt.line(member.equals))\""
    }
  }

  private enum Found {
    case found(JSON)
    /// The path as far as it could not be gone.
    case missing(String)
  }

  private static func find(_ path: String, in json: JSON) -> Found {
    var value = json
    var gone: [Substring] = []
    for part in path.split(separator: ".", omittingEmptySubsequences: false) {
      gone.append(part)
      if let next = value[String(part)] {
        value = next
      } else if case .array(let elements) = value, let index = Int(part), elements.indices.contains(index) {
        value = elements[index]
      } else {
        return .missing(gone.joined(separator: "."))
      }
    }
    return .found(value)
  }

  private static func text(_ json: JSON) -> String {
    if case .string(let text) = json { return text }
    return json.text
  }

  /// Bytes in bytes, in one pass over candidates for the first byte.
  private static func occurs(_ wanted: [UInt8], in body: UnsafeBufferPointer<UInt8>) -> Bool {
    guard let first = wanted.first else { return true }
    guard body.count >= wanted.count else { return false }
    for start in 0...(body.count - wanted.count) where body[start] == first {
      if (1..<wanted.count).allSatisfy({ body[start + $0] == wanted[$0] }) { return true }
    }
    return false
  }
}

/// Texts of others made harmless for a terminal and short enough for a line.
enum Excerpt {
  static let limit = 200

  static func line(_ text: String) -> String {
    var kept = ""
    for scalar in text.unicodeScalars {
      guard kept.utf8.count < limit else { return kept + "…" }
      kept.unicodeScalars.append(isHarmless(scalar) ? scalar : " ")
    }
    return kept
  }

  static func of(_ body: UnsafeBufferPointer<UInt8>) -> String? {
    guard !body.isEmpty else { return nil }
    let text = line(String(decoding: body.prefix(limit * 2), as: UTF8.self))
    return text.split(separator: " ").joined(separator: " ")
  }

  /// Neither a control character nor one that turns the direction of writing.
  private static func isHarmless(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate, .unassigned: false
    default: true
    }
  }
}

/// What a person probably meant.
package enum NearestWord {
  /// The known word with the fewest edits, if these are few for its length; the first of equals.
  package static func to(_ word: String, among known: [String]) -> String? {
    // A long word is no slip of the keyboard, and the distance costs the product of the lengths.
    guard word.utf8.count <= 64 else { return nil }
    let wanted = word.lowercased()
    var best: (word: String, distance: Int)?
    for candidate in known {
      let distance = distance(Array(wanted.utf8), Array(candidate.lowercased().utf8))
      let allowed = max(1, min(candidate.utf8.count, word.utf8.count) / 3)
      guard distance <= allowed, distance < best?.distance ?? .max else { continue }
      best = (candidate, distance)
    }
    return best?.word
  }

  package static func hint(_ word: String, among known: [String]) -> String? {
    to(word, among: known).map { "did you mean \"\($0)\"?" }
  }

  /// Optimal string alignment: insertions, deletions, replacements and swaps of neighbours.
  static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    var beforeLast = [Int](repeating: 0, count: right.count + 1)
    var last = Array(0...right.count)
    for i in 0..<left.count {
      var row = [i + 1]
      for j in 0..<right.count {
        var cost = min(last[j + 1] + 1, row[j] + 1, last[j] + (left[i] == right[j] ? 0 : 1))
        if i > 0, j > 0, left[i] == right[j - 1], left[i - 1] == right[j] { cost = min(cost, beforeLast[j - 1] + 1) }
        row.append(cost)
      }
      (beforeLast, last) = (last, row)
    }
    return last[right.count]
  }
}

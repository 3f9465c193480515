/// Something that is not alike in two trees.
package struct TreeDifference: Hashable, Sendable, CustomStringConvertible {
  package enum Kind: Hashable, Sendable {
    /// Only in the first.
    case missing
    /// Only in the second.
    case extra
    /// In both: what kind of thing it is, its mode, or what is in it.
    case kind, mode, content
  }

  package let path: TreePath
  package let kind: Kind
  package let old: TreeItem?
  package let new: TreeItem?

  /// `missing: bin/main`
  package var description: String {
    switch kind {
    case .missing: "missing: \(path)"
    case .extra: "not in it: \(path)"
    case .kind: "another kind of thing: \(path)"
    case .mode:
      "mode \(String(old?.mode ?? 0, radix: 8)) has become \(String(new?.mode ?? 0, radix: 8)): \(path)"
    case .content: "changed: \(path)"
    }
  }
}

/// How two trees differ: all counted, the first kept.
package struct TreeDifferences: Hashable, Sendable {
  package private(set) var first: [TreeDifference] = []
  package private(set) var added = 0
  package private(set) var removed = 0
  package private(set) var changed = 0
  private let limit: Int

  package var count: Int { added + removed + changed }
  package var isEmpty: Bool { count == 0 }

  /// Both in the order of ``TreePath``. Contents are compared where both sides have read them, else sizes.
  package init(from old: [TreeItem], to new: [TreeItem], limit: Int = 20) {
    self.limit = limit
    var (left, right) = (old[...], new[...])
    while let a = left.first, let b = right.first {
      if a.path == b.path {
        if let kind = Self.compare(a, b) { note(TreeDifference(path: a.path, kind: kind, old: a, new: b)) }
        left.removeFirst()
        right.removeFirst()
      } else if a.path < b.path {
        note(TreeDifference(path: a.path, kind: .missing, old: a, new: nil))
        left.removeFirst()
      } else {
        note(TreeDifference(path: b.path, kind: .extra, old: nil, new: b))
        right.removeFirst()
      }
    }
    for item in left { note(TreeDifference(path: item.path, kind: .missing, old: item, new: nil)) }
    for item in right { note(TreeDifference(path: item.path, kind: .extra, old: nil, new: item)) }
  }

  private mutating func note(_ difference: TreeDifference) {
    switch difference.kind {
    case .missing: removed += 1
    case .extra: added += 1
    case .kind, .mode, .content: changed += 1
    }
    if first.count < limit { first.append(difference) }
  }

  private static func compare(_ a: TreeItem, _ b: TreeItem) -> TreeDifference.Kind? {
    switch (a.content, b.content) {
    case (.directory, .directory): return a.mode == b.mode ? nil : .mode
    case (.link(let old), .link(let new)): return old == new ? nil : .content
    case (.file(let oldSize, let oldDigest), .file(let newSize, let newDigest)):
      if oldSize != newSize { return .content }
      if let oldDigest, let newDigest, oldDigest != newDigest { return .content }
      return a.mode == b.mode ? nil : .mode
    case (.directory, _), (.link, _), (.file, _), (.other, _): return .kind
    }
  }

  /// `2 added, 1 removed, 3 changed`
  package var summary: String { "\(added) added, \(removed) removed, \(changed) changed" }
}

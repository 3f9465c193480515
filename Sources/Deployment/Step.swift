/// The steps of a deploy, in their order. A rollback and an adoption take those that concern them.
package enum Step: String, Hashable, Sendable, CaseIterable, Comparable {
  case preflight
  case lock
  case backup
  case fetch
  case build
  case verify
  case migrate
  case activate
  case healthCheck = "health-check"
  case bake
  case markGood = "mark-good"
  case prune

  package static func < (left: Self, right: Self) -> Bool { left.place < right.place }

  private var place: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}

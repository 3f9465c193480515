internal import Glibc

/// What a person may ask of the tests by environment.
package enum Surroundings {
  package static func text(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
  package static func number(_ name: String) -> UInt64? { text(name).flatMap { UInt64($0) } }

  /// How many inputs a test makes up: so many, or BATON_INPUTS.
  package static func inputs(_ usual: UInt64) -> UInt64 { min(usual, number("BATON_INPUTS") ?? usual) }
  /// Of a time limit: BATON_PATIENCE times as many where everything is slower (scripts/sanitize).
  package static func minutes(_ usual: Int) -> Int { usual * Int(number("BATON_PATIENCE") ?? 1) }
}

internal import Glibc

/// What a person may ask of the tests by environment.
package enum Surroundings {
  package static func text(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
  package static func number(_ name: String) -> UInt64? { text(name).flatMap { UInt64($0) } }
}

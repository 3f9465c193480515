/// Why a step did not do what it is for, in a person's words.
package struct StepFailure: Error, Hashable, Sendable {
  package enum Kind: String, Hashable, Sendable {
    /// Nothing was begun: the wish cannot or must not be fulfilled as things stand.
    case refused
    /// It was tried, and did not succeed.
    case failed
    /// A person asked for it.
    case aborted
    /// Somebody else has what is needed; worth another try later.
    case busy
    /// Not even the way back could be gone: a person is needed.
    case stuck
  }

  package var kind: Kind
  /// What failed, on what, why.
  package var what: String
  /// What a person should do, where there is something to be done.
  package var next: String?
  /// The last lines of the program that failed.
  package var lines: [String]

  package init(_ kind: Kind, _ what: String, next: String? = nil, lines: [String] = []) {
    self.kind = kind
    self.what = what
    self.next = next
    self.lines = lines
  }
}

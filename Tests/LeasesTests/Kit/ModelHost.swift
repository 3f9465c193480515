import Vocabulary

@testable import Leases

/// One host of the model: a keeper with a clock of its own speed, and the engine it permits.
struct ModelHost {
  enum Engine: Hashable {
    case none
    case running(LeaseToken)
    /// It was told to end and takes as long as it takes.
    case ending(LeaseToken, at: Int64)
  }

  var keeper: LeaseKeeper
  /// Of its clock to the world's: 0.97 to 1.03.
  let thousandths: Int64
  let offset: Int64
  var engine = Engine.none
  /// The process stands still until then; its engine does not.
  var stoppedUntil: Int64 = 0
  /// Only the newest of its timers counts.
  var tickAt: Int64 = 0
  var isWanted = false
  var isClosed = false

  func clock(_ world: Int64) -> BootInstant { BootInstant(nanoseconds: offset + world / 1000 * thousandths) }
  /// When its clock shows that.
  func world(_ instant: BootInstant) -> Int64 { (instant.nanoseconds - offset) / thousandths * 1000 + 1000 }

  var token: LeaseToken? {
    switch engine {
    case .none: nil
    case .running(let token), .ending(let token, _): token
    }
  }
}

/// When a worker that ended without being asked to is started again.
///
/// A first crash is answered at once; from the second on the delay doubles from `delay` up to `maxDelay`, with jitter so
/// that workers felled by one cause do not come back in step. Only a healthy run resets the count: merely starting does not.
package struct RestartPolicy: Hashable, Sendable {
  package var delay: Duration
  package var maxDelay: Duration
  package var giveUpAfter: Int
  package var healthyAfter: Duration

  package init(
    delay: Duration = .milliseconds(100), maxDelay: Duration = .seconds(30), giveUpAfter: Int = 10,
    healthyAfter: Duration = .seconds(30)
  ) {
    self.delay = delay
    self.maxDelay = maxDelay
    self.giveUpAfter = giveUpAfter
    self.healthyAfter = healthyAfter
  }

  /// The wait before the run that follows the `crashes`-th crash in a row; nil when the place is given up.
  func wait(afterCrash crashes: Int, random: inout SplitMix64) -> Duration? {
    if crashes >= giveUpAfter { return nil }
    if crashes <= 1 { return .zero }
    var base = delay
    for _ in 2..<crashes where base < maxDelay { base = base * 2 }
    base = min(base, maxDelay)
    // 75 % to 125 % of the base.
    let thousandths = 750 + Int(random.next() % 501)
    return min(base * thousandths / 1000, maxDelay)
  }
}

/// A small seeded generator (SplitMix64, Steele, Lea and Flood 2014): the core's chance is part of its state.
package struct SplitMix64: Hashable, Sendable {
  private var state: UInt64
  package init(seed: UInt64) { state = seed }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}

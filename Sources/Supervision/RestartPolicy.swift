import Vocabulary

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

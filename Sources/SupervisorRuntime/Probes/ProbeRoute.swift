import LinuxSystem

/// Where a probe connects, and what makes it a probe.
struct ProbeRoute {
  let target: ProbeTarget
  let sign: ProbeSign?

  var mark: UInt32? {
    if case .mark(let mark) = sign { return mark }
    return nil
  }

  var source: [UInt8]? {
    if case .source(let address) = sign { return address }
    return nil
  }
}

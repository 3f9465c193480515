import DeploymentRuntime
import Glibc
import LinuxSystem
import Settings
import Systemd
import Vocabulary

/// Reads the facts: the unit over D-Bus, the host from /proc and the kernel. Changes nothing.
enum Gathering {
  /// `supervisor`: the process that answers for the service, which need not be a unit's.
  static func facts(service: ServiceName, unit: String, settings: Settings, supervisor: Int?) -> Facts {
    var host = HostFacts()
    host.somaxconn = number("/proc/sys/net/core/somaxconn").map(Int.init)
    host.controllers = CgroupSupport.controllers
    host.migratesRequests = number("/proc/sys/net/ipv4/tcp_migrate_req") == 1
    host.hidesProcesses = hidesProcesses
    var mainProcess: UInt32 = 0
    let systemd: SystemdFacts
    do throws(BusError) {
      let bus = try SystemBus(timeout: .seconds(5))
      let path = try bus.loadUnit(unit)
      if let deployed = settings.deploy?.unit {
        host.bootGap = try BootOrder.gap(deployed, try bus.loadUnit(deployed), bus)
      }
      mainProcess = try bus.unsigned(.service("MainPID"), of: path)
      systemd = .known(version: try bus.systemdVersion(), unit: try read(unit, path, bus))
    } catch {
      systemd = .unknown("\(error)")
    }
    let own = [1, Int32(clamping: mainProcess), Int32(clamping: supervisor ?? 0)]
    host.strangers = strangers(settings, besides: own.filter { $0 > 0 })
    return Facts(service: service, settings: settings, systemd: systemd, host: host)
  }

  // MARK: The unit

  private static func read(_ name: String, _ path: UnitPath, _ bus: SystemBus) throws(BusError) -> UnitFacts {
    var facts = UnitFacts(name: name, loadState: try bus.string(.unit("LoadState"), of: path))
    guard facts.loadState == "loaded" else { return facts }
    facts.needsDaemonReload = try bus.boolean(.unit("NeedDaemonReload"), of: path)
    facts.canReload = try bus.boolean(.unit("CanReload"), of: path)
    facts.type = try bus.string(.service("Type"), of: path)
    facts.notifyAccess = try bus.string(.service("NotifyAccess"), of: path)
    facts.killMode = try bus.string(.service("KillMode"), of: path)
    facts.restart = try bus.string(.service("Restart"), of: path)
    facts.oomPolicy = try bus.string(.service("OOMPolicy"), of: path)
    facts.isDelegated = try bus.boolean(.service("Delegate"), of: path)
    facts.stopTimeout = duration(try bus.long(.service("TimeoutStopUSec"), of: path))
    if let watchdog = try watchdog(path, bus) { facts.watchdog = watchdog > .zero ? watchdog : nil }
    let starts = try bus.unsigned(.unit("StartLimitBurst"), of: path)
    if starts > 0, let interval = duration(try bus.long(.unit("StartLimitIntervalUSec"), of: path)), interval > .zero {
      facts.startLimit = UnitFacts.StartLimit(starts: starts, interval: interval)
    }
    facts.descriptorStoreMax = Int(try bus.unsigned(.service("FileDescriptorStoreMax"), of: path))
    let files = try bus.long(.service("LimitNOFILESoft"), of: path)
    facts.openFiles = files == .max ? nil : files
    let user = try bus.string(.service("User"), of: path)
    facts.user = user.isEmpty || user == "root" || user == "0" ? nil : user
    facts.capabilities = try bus.long(.service("CapabilityBoundingSet"), of: path)
    if facts.user != nil { facts.capabilities &= try bus.long(.service("AmbientCapabilities"), of: path) }
    facts.protectProc = try bus.string(.service("ProtectProc"), of: path)
    return facts
  }

  /// Zero: nothing is watched. nil: before the first start systemd answers zero whatever the unit says.
  private static func watchdog(_ path: UnitPath, _ bus: SystemBus) throws(BusError) -> Duration? {
    if ["inactive", "failed"].contains(try bus.string(.unit("ActiveState"), of: path)) { return nil }
    return duration(try bus.long(.service("WatchdogUSec"), of: path)) ?? .zero
  }

  /// Of the unit as it runs; nil where none does, or where systemd cannot be asked.
  static func watchdog(of unit: String) -> Duration? {
    do throws(BusError) {
      let bus = try SystemBus(timeout: .seconds(5))
      let path = try bus.loadUnit(unit)
      guard try bus.string(.unit("LoadState"), of: path) == "loaded" else { return nil }
      return try watchdog(path, bus)
    } catch { return nil }
  }

  private static func duration(_ microseconds: UInt64) -> Duration? {
    microseconds == .max ? nil : .microseconds(Int64(clamping: microseconds))
  }

  // MARK: The host

  private static func number(_ path: String) -> UInt64? {
    guard let bytes = try? readFile(path, limit: 64) else { return nil }
    return UInt64(String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self))
  }

  /// Mount options of /proc. Source: proc(5).
  private static var hidesProcesses: Bool {
    guard let bytes = try? readFile("/proc/self/mounts") else { return false }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").contains { line in
      let words = line.split(separator: " ")
      guard words.count > 3, words[1] == "/proc" else { return false }
      return words[3].split(separator: ",").contains {
        $0.hasPrefix("hidepid=") && !["hidepid=0", "hidepid=off"].contains($0)
      }
    }
  }

  /// Listeners on the settings' ports that neither `own` processes nor systemd hold. nil where /proc does not show whose
  /// they are.
  private static func strangers(_ settings: Settings, besides own: [Int32]) -> [SocketName: [String]]? {
    guard geteuid() == 0 else { return nil }
    let ours = Set(own.flatMap { SocketHolders.inodes(heldBy: $0) })
    var found: [SocketName: [String]] = [:]
    for socket in settings.sockets {
      let entries: [SocketDiagnosis.Entry]?
      let wanted: SocketAddress.InternetAddress
      switch socket.address {
      case .tcp(let address): (entries, wanted) = (try? SocketDiagnosis.listeners(onPort: address.port), address)
      case .udp(let address): (entries, wanted) = (try? SocketDiagnosis.datagramSockets(onPort: address.port), address)
      case .unix: continue
      }
      let others = (entries ?? []).filter { !ours.contains($0.inode) && meets($0.address, wanted) }
      guard wanted.port != 0, !others.isEmpty else { continue }
      let names = SocketHolders.processes(holding: Set(others.map(\.inode)))
      found[socket.name] = names.isEmpty ? ["a process of uid \(others[0].user)"] : names
    }
    return found
  }

  /// Whether a socket at `address` takes connections that a socket of ours would take.
  private static func meets(_ address: [UInt8], _ wanted: SocketAddress.InternetAddress) -> Bool {
    let own = KernelAddress(wanted).bytes
    let isAny = { (bytes: [UInt8]) in bytes.allSatisfy { $0 == 0 } }
    return address == own || isAny(address) || isAny(own)
  }
}

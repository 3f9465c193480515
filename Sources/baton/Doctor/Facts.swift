import ControlProtocol
import DeploymentRuntime
import JSON
import Settings
import Vocabulary

/// Everything the doctor knows, gathered before it thinks: the settings, the unit systemd has loaded, and the host.
struct Facts {
  var service: ServiceName
  var settings: Settings
  var systemd: SystemdFacts
  var host: HostFacts
  /// As the service says that runs; empty where none runs or none needs a lease.
  var leases: [StatusReport.Lease] = []
  /// Why the service, which seems to run, could not be asked for them.
  var leasesUnknown: String?
  var now = WallTime.now
}

/// What systemd says; what it could not be asked stays apart from what it answered.
enum SystemdFacts {
  /// No systemd, no bus, or no permission: why.
  case unknown(String)
  case known(version: Int, unit: UnitFacts)
}

/// The loaded unit, with its drop-ins.
struct UnitFacts {
  var name: String
  /// `loaded`, `not-found`, `masked`, `bad-setting`, …
  var loadState: String
  var needsDaemonReload = false
  var canReload = true
  var type = "notify"
  var notifyAccess = "main"
  var killMode = "mixed"
  var restart = "always"
  var oomPolicy = "continue"
  var isDelegated = true
  /// nil is "infinity".
  var stopTimeout: Duration? = .seconds(45)
  /// nil: systemd watches nothing.
  var watchdog: Duration? = .seconds(15)
  /// nil: no limit.
  var startLimit: StartLimit?
  var descriptorStoreMax = 512
  /// nil is "infinity".
  var openFiles: UInt64? = 65_536
  /// Capabilities batond has, as a mask of capability numbers.
  var capabilities: UInt64 = .max
  /// nil: root.
  var user: String?
  var protectProc = "default"

  struct StartLimit: Hashable {
    var starts: UInt32
    var interval: Duration
  }
}

struct HostFacts {
  /// net.core.somaxconn: what the kernel makes of a larger backlog. nil where it cannot be read.
  var somaxconn: Int?
  /// The controllers of this host's cgroup v2.
  var controllers: Set<String> = ["cpu", "memory", "pids"]
  /// net.ipv4.tcp_migrate_req
  var migratesRequests = false
  /// /proc shows a user only their own processes.
  var hidesProcesses = false
  /// Processes that listen where the service listens and are none of its own; nil where only root could tell.
  var strangers: [SocketName: [String]]? = [:]
  /// That the unit baton deploys starts at boot before a deploy that was cut off is put right; nil where it does not.
  var bootGap: BootOrder.Gap?
}

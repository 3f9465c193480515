"""Accidents of the store, and of the way to it."""

from kit.ownership.accidents import REMOTE, accident, away, followed
from kit.ownership.link import NONSENSE
from kit.ownership.sink import now
from kit.waiting import let_pass

# The way to it


@accident(*REMOTE)
def link_cut(cluster, dice):
    """one host's link to the store is cut: another follows"""
    host = cluster.holder()
    host.link.cut()
    followed(cluster, host, now() + 0.02)
    let_pass(dice.uniform(0, 2))
    host.link.mend()


@accident(*REMOTE)
def link_refuses(cluster, dice):
    """one host is refused by the store"""
    host = cluster.holder()
    host.link.refuse()
    followed(cluster, host, now() + 0.02)
    host.link.mend()


@accident(*REMOTE)
def link_flickers(cluster, dice):
    """a host's link is cut and restored for moments"""
    host, token = cluster.holder(), cluster.sink.last[2]
    for _ in range(dice.randint(2, 5)):
        host.link.cut()
        let_pass(dice.uniform(0.05, cluster.ttl / 12))
        host.link.mend()
        let_pass(dice.uniform(0.05, 0.4))
    last = cluster.wait_effect(now(), 10)
    if last[2] != token:
        raise AssertionError(f"the lease was lost for moments: {token}, then {last}")


@accident(*REMOTE)
def all_links_cut(cluster, dice):
    """no host reaches the store for longer than a lease lasts"""
    with away(cluster):
        for host in cluster.hosts:
            host.link.cut()
        let_pass(cluster.ttl + dice.uniform(0, 2))
        for host in cluster.hosts:
            host.link.mend()


@accident(*REMOTE)
def store_is_slow(cluster, dice):
    """answers take a moment: nothing changes"""
    token = cluster.sink.last[2]
    delay = dice.uniform(0.005, cluster.ttl / 120)
    for host in cluster.hosts:
        host.link.slow(delay)
    let_pass(cluster.ttl)
    last = cluster.wait_effect(now(), 10)
    for host in cluster.hosts:
        host.link.mend()
    if last[2] != token:
        raise AssertionError(f"{delay:.3f} s to and fro cost the lease: {token}, then {last}")


@accident(*REMOTE)
def store_is_too_slow(cluster, dice):
    """answers take longer than anybody waits"""
    with away(cluster):
        for host in cluster.hosts:
            host.link.slow(cluster.ttl / 4)
        let_pass(cluster.ttl * 1.2)
        for host in cluster.hosts:
            host.link.mend()


@accident(*REMOTE)
def nonsense(cluster, dice):
    """something else answers one host: another follows"""
    host = cluster.holder()
    host.link.babble(dice.choice(NONSENSE))
    followed(cluster, host, now() + 0.02)
    host.link.mend()


@accident(*REMOTE)
def nonsense_for_all(cluster, dice):
    """something else answers in the store's place"""
    with away(cluster):
        for host in cluster.hosts:
            host.link.babble(dice.choice(NONSENSE))
        let_pass(cluster.ttl + dice.uniform(0, 1))
        for host in cluster.hosts:
            host.link.mend()


# The store


@accident()
def store_pauses(cluster, dice):
    """the store stands still for a moment: nothing changes"""
    token = cluster.sink.last[2]
    cluster.store.pause(dice.uniform(0.2, cluster.ttl / 4))
    let_pass(cluster.ttl)
    last = cluster.wait_effect(now(), 10)
    if last[2] != token:
        raise AssertionError(f"a pause cost the lease: {token}, then {last}")


@accident()
def store_stands_still(cluster, dice):
    """the store stands still for longer than a lease lasts"""
    with away(cluster):
        seconds = cluster.ttl + dice.uniform(0, 2)
        cluster.store.pause(seconds)
        let_pass(seconds)


@accident(*REMOTE)
def store_restarts(cluster, dice):
    """the store is killed, and there again at once or after longer than a lease lasts"""
    with away(cluster):
        cluster.store.kill()
        let_pass(dice.choice((0, 1, cluster.ttl * 1.1)))
        cluster.store.start()


@accident(*REMOTE)
def store_forgets(cluster, dice):
    """the store forgets everything"""
    token = cluster.sink.last[2]
    cluster.sink.note("forgets")
    cluster.store.forget()
    cluster.wait_effect(now(), cluster.ttl + 10, "a higher token", lambda last: last[2] > token)


@accident()
def store_full(cluster, dice):
    """the store is full for longer than a lease lasts"""
    with away(cluster):
        cluster.store.fill()
        let_pass(cluster.ttl + dice.uniform(0, 1))
        cluster.store.empty()


@accident(*REMOTE)
def locked_out(cluster, dice):
    """the password is another one for longer than a lease lasts"""
    with away(cluster):
        cluster.store.lock_out()
        let_pass(cluster.ttl + dice.uniform(0, 1))
        cluster.store.let_in()


@accident(*REMOTE)
def store_read_only(cluster, dice):
    """the store takes no write for longer than a lease lasts"""
    with away(cluster):
        cluster.store.make_read_only()
        let_pass(cluster.ttl + dice.uniform(0, 1))
        cluster.store.make_writable()


@accident()
def taken_by_force(cluster, dice):
    """baton lock release --force"""
    token = cluster.sink.last[2]
    cluster.sink.note("forced")
    # As the unit sees the machine: nspawn hides the kernel's boot id from all but those whose /proc/sys is protected.
    cluster.hosts[0].machine.run(
        "systemd-run", "--pipe", "--wait", "--quiet", "--property=ProtectKernelTunables=yes",
        "baton", "lock", "release", "robots", "--force", "--store", cluster.store.url)  # fmt: skip
    cluster.wait_effect(now(), cluster.ttl + 10, "a higher token", lambda last: last[2] > token)

"""The supervisors under measure, each as start, reload, kill, stop of the same program."""

from .batond import Batond
from .floor import Floor
from .gunicorn import Gunicorn
from .nginx import Nginx
from .runit import Runit
from .s6 import S6
from .server_starter import ServerStarter

__all__ = ["Batond", "Floor", "Gunicorn", "Nginx", "Runit", "S6", "ServerStarter"]

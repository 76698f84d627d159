import subprocess
import sys

from cluster import ports
from support import free_ports


def test_picked_port_is_picked_by_nobody_else() -> None:
    mine = free_ports.pick_free(["PORT"])["PORT"]
    code = f"from support import free_ports as p; p.POOL = ({mine}, {mine} + 1); print(p.pick_free(['PORT']))"
    others = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert str(mine) not in others.replace(str(mine + 1), "")


def test_picked_ports_differ_and_leave_room_for_the_stores_second_port() -> None:
    names = [f"PORT_{number}" for number in range(25)]

    picked = free_ports.pick_free(names)

    assert picked.keys() == set(names)
    assert len(set(picked.values())) == len(names)
    assert all(ports.is_free(port + free_ports.SECOND) for port in picked.values())

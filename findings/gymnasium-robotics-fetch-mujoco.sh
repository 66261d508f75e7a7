#!/usr/bin/env bash
# gymnasium-robotics 1.4.2 declares mujoco>=2.2.0 without an upper bound, so that pip installs the newest.
# Expected: FetchReach-v4 is made, as it is with mujoco 3.9.0.
# Seen with mujoco 3.17.0: AssertionError in set_joint_qpos, since a number from model.jnt_type is no longer found among
# the members of mujoco.mjtJoint ("joint_type in (mjJNT_HINGE, mjJNT_SLIDE)").
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
try() {
  "$folder/venv/bin/pip" install --quiet "gymnasium-robotics==1.4.2" "gymnasium==1.4.0" "numpy==2.4.6" "mujoco==$1"
  "$folder/venv/bin/python" - <<'PYTHON' 2>/dev/null
import gymnasium
import gymnasium_robotics
import mujoco

gymnasium.register_envs(gymnasium_robotics)
try:
    gymnasium.make("FetchReach-v4").reset(seed=0)
    print(mujoco.__version__, "works")
except AssertionError:
    print(mujoco.__version__, "AssertionError")
PYTHON
}
old=$(try 3.9.0)
new=$(try 3.17.0)
printf '%s\n' "$old" "$new"
[ "$old" = "3.9.0 works" ] && [ "$new" = "3.17.0 AssertionError" ]

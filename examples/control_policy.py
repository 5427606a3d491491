"""Reinforcement learning: a network learns to balance a pole on a cart.

The cart may be pushed to the left or to the right, 50 times a second. The network sees position and
speed of the cart, angle and speed of the pole, and says how likely a push to the right should be.
Each step that the pole stands earns 1; an episode ends if the pole leans by more than 12 degrees,
the cart leaves the track, or after 500 steps. At 475 on average the task counts as solved.

The method is REINFORCE (Williams, 1992) with a baseline. Play some episodes. Then make pushes that
were followed by more than was expected likelier, and others less likely. What is expected, the
baseline, is learnt by a second network. The loss of the first,

    L = -1/n sum_i advantage_i log p(push_i)

is none that cnn has. Its gradient with respect to the logit z_i of a push to the right is
(p_i - push_i) advantage_i / n, which is what `backward` takes.

The physics are those of Barto, Sutton and Anderson (1983), as CartPole-v1 of Gymnasium has them.

    python examples/control_policy.py
"""

import numpy as np

import cnn

# ---- The cart and the pole -----------------------------------------------------------------------

GRAVITY, CART_MASS, POLE_MASS, HALF_LENGTH = 9.8, 1.0, 0.1, 0.5  # m/s^2, kg, kg, m
FORCE, SECONDS = 10.0, 0.02  # N, s
MOST_POSITION, MOST_ANGLE = 2.4, np.deg2rad(12)
MOST_STEPS = 500


def start(episodes, rng):
    """Return states (episodes, 4): position, speed, angle, speed of the angle."""
    return rng.uniform(-0.05, 0.05, (episodes, 4))


def move(state, right):
    """Return the states after a push to the right, or else to the left."""
    speed, angle, turn = state.T[1:]
    force = np.where(right, FORCE, -FORCE)
    mass, sine, cosine = CART_MASS + POLE_MASS, np.sin(angle), np.cos(angle)
    push = (force + POLE_MASS * HALF_LENGTH * turn**2 * sine) / mass
    turning = (GRAVITY * sine - cosine * push) / (
        HALF_LENGTH * (4 / 3 - POLE_MASS * cosine**2 / mass)
    )
    speeding = push - POLE_MASS * HALF_LENGTH * turning * cosine / mass
    change = np.stack([speed, speeding, turn, turning], axis=1)
    return state + SECONDS * change


def stands(state):
    """Return for each episode whether it goes on."""
    return (np.abs(state[:, 0]) <= MOST_POSITION) & (np.abs(state[:, 2]) <= MOST_ANGLE)


# ---- Playing -------------------------------------------------------------------------------------


def play(policy, episodes, rng, *, explore=True):
    """Play episodes side by side; return states, pushes and whether the steps count, by time.

    Pushes are drawn, so that all are tried; without `explore` each is the likelier one.
    """
    state, alive = start(episodes, rng), np.ones(episodes, bool)
    states, pushes, counts = [], [], []
    for _ in range(MOST_STEPS):
        if not alive.any():
            break
        chance = cnn.sigmoid(policy.predict(state))[:, 0]
        right = (rng.random(episodes) if explore else 0.5) < chance
        states.append(state)
        pushes.append(right)
        counts.append(alive)
        state = move(state, right)
        alive = alive & stands(state)
    return np.array(states), np.array(pushes), np.array(counts)


def returns_of(counts, discount=0.99):
    """Return what each step earns from there on; later steps count less."""
    found = np.zeros(counts.shape)
    after = np.zeros(counts.shape[1])
    for i in reversed(range(len(counts))):
        after = found[i] = counts[i] * (1 + discount * after)
    return found


# ---- Learning ------------------------------------------------------------------------------------


def learn(policy, baseline, optimizers, played):
    """Make a step of both networks."""
    states, pushes, counts = played
    earned = returns_of(counts)[counts][:, None] / 100
    x, right = states[counts], pushes[counts][:, None]
    advantage = earned - baseline.predict(x)
    advantage /= advantage.std() + 1e-8
    chance = cnn.sigmoid(policy.forward(x))
    gradients, _ = policy.backward((chance - right) * advantage / len(x))
    policy.apply_gradients(gradients, optimizers[0])
    for _ in range(5):
        baseline.train_step(x, earned, optimizer=optimizers[1])


def main():
    rng = np.random.default_rng(0)
    policy = cnn.mlp([4, 32, 1], "tanh", "identity", rng=0)
    baseline = cnn.mlp([4, 64, 1], "tanh", "identity", rng=1)
    optimizers = cnn.Adam(2e-2), cnn.Adam(1e-2)
    rounds = 0
    while rounds < 200:
        played = play(policy, 20, rng)
        earned = played[2].sum(axis=0).mean()
        if rounds % 10 == 0:
            print(f"round {rounds:3}  mean return {earned:5.1f}")
        if earned >= 495:
            break
        learn(policy, baseline, optimizers, played)
        rounds += 1
    earned = play(policy, 100, rng, explore=False)[2].sum(axis=0).mean()
    print(f"{rounds} rounds of 20 episodes: mean return of 100 more {earned:.1f} of {MOST_STEPS}")
    assert earned >= 475, earned


if __name__ == "__main__":
    main()

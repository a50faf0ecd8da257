from napari_mil.slides.lease import Lease


def test_the_last_user_closes_the_file_once():
    closed = []
    lease = Lease(lambda: closed.append(True))
    lease.add_user()
    assert not lease.remove_user()
    assert closed == []
    assert lease.remove_user()
    assert closed == [True]
